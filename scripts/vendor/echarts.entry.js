export { init, getInstanceByDom, use } from "echarts/core";
import { use } from "echarts/core";
import { LineChart, BarChart, SankeyChart, GraphChart, CustomChart, ScatterChart } from "echarts/charts";
import { GridComponent, TooltipComponent, LegendComponent, MarkLineComponent, MarkAreaComponent, AriaComponent, DataZoomComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";
use([LineChart, BarChart, SankeyChart, GraphChart, CustomChart, ScatterChart, GridComponent, TooltipComponent, LegendComponent, MarkLineComponent, MarkAreaComponent, AriaComponent, DataZoomComponent, CanvasRenderer]);
