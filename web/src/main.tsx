/**
 * Starts the page.
 */
import "./ui/base.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { loadSession } from "./state/session";
import { theme } from "./state/theme";
import { App } from "./views/app";

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no element with the id page");
render(<App />, page);
void loadSession();
