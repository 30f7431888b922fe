(function(){self.onmessage=e=>self.postMessage(e.data)})();
//# sourceMappingURL=worker-D6yRw1j_.js.map