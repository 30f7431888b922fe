import{a as r}from"./chunk-VSASZ2CA.js";var t=()=>r("lazy");export{t as run};
//# sourceMappingURL=lazy-AY3SV7IL.js.map
