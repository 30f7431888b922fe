var r=e=>`shared ${e}`;export{r as a};
//# sourceMappingURL=chunk-VSASZ2CA.js.map
