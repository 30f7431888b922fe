import "./BarChart.css";

export const draw = () => document.body.append("a chart");
