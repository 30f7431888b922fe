import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const { WebpackManifestPlugin } = require("webpack-manifest-plugin");

export default {
  mode: "production",
  entry: { main: "./main.js" },
  devtool: "source-map",
  experiments: { css: true },
  module: { rules: [{ test: /\.svg$/, type: "asset/resource" }] },
  output: {
    path: path.resolve("dist"),
    publicPath: "/static/",
    filename: "[name].[contenthash].js",
    chunkFilename: "[name].[contenthash].chunk.js",
    cssFilename: "[name].[contenthash].css",
    assetModuleFilename: "media/[name].[hash][ext]",
  },
  plugins: [new WebpackManifestPlugin()],
  // What the default says of assets, and nothing of modules, which would be long and name the machine's directories.
  stats: { all: false, version: true, hash: true, publicPath: true, assets: true, cachedAssets: true, relatedAssets: true, errors: true },
};
