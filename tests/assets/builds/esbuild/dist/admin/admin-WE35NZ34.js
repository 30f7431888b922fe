import{a as m}from"../chunks/chunk-V3XN4UOP.js";document.title=m("admin");
//# sourceMappingURL=admin-WE35NZ34.js.map
