import "./main.css";
import logo from "./logo.svg";

const image = new Image();
image.src = logo;
document.body.append(image);
image.onclick = () => import("./BarChart.js").then((chart) => chart.draw());
new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
