"use strict";(self.webpackChunk=self.webpackChunk||[]).push([[339],{339(e,u,n){n.d(u,["run",0,()=>document.body.append("lazy")])}}]);
//# sourceMappingURL=339.b5cbdc803833df6b5540.chunk.js.map