import{a as r}from"./chunk-V3XN4UOP.js";var t=()=>r("lazy");export{t as run};
//# sourceMappingURL=lazy-S3JIHM2D.js.map
