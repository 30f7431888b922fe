var e=()=>document.body.append(`a chart`);export{e as draw};
//# sourceMappingURL=BarChart-4aIP6TCj.js.map