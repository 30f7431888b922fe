var e=()=>document.body.append(`a chart`);export{e as draw};
//# sourceMappingURL=BarChart-Balc-3AR.js.map