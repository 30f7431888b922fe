var r=e=>`shared ${e}`;export{r as a};
//# sourceMappingURL=chunk-V3XN4UOP.js.map
