import{a as o}from"./chunk-VSASZ2CA.js";var r="./logo-YGCQ2ATG.svg";document.body.append(o(r));import("./lazy-AY3SV7IL.js").then(t=>t.run());
//# sourceMappingURL=app.js.map
