import { defineConfig } from "vite";

// `PLAIN` writes names without a hash for what is no script: the manifest lists those too.
const plain = process.env.PLAIN ? { assetFileNames: "assets/[name][extname]" } : {};

export default defineConfig({
  logLevel: "warn",
  build: {
    assetsInlineLimit: 0,
    emptyOutDir: true,
    manifest: true,
    modulePreload: false,
    sourcemap: true,
    rolldownOptions: { output: plain },
  },
});
