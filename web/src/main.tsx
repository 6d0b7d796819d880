/**
 * Starts the page.
 */
import "./style.css";
import "./status.css";
import "./console.css";
import "./system.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { loadSession } from "./session";
import { theme } from "./theme";
import { App } from "./view/app";

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no element with the id page");
render(<App />, page);
void loadSession();
