import{a as m}from"../chunk-VSASZ2CA.js";document.title=m("admin");
//# sourceMappingURL=admin.js.map
