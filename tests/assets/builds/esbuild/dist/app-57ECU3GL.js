import{a as o}from"./chunks/chunk-V3XN4UOP.js";var r="./media/logo-YGCQ2ATG.svg";document.body.append(o(r));import("./chunks/lazy-S3JIHM2D.js").then(t=>t.run());
//# sourceMappingURL=app-57ECU3GL.js.map
