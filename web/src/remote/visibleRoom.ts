/**
 * Tells the page how much of it a phone's keyboard leaves to be seen.
 *
 * Safari draws its keyboard over the page and scrolls it, and the row of keys would be below. Others
 * follow `interactive-widget` in index.html, and then there is nothing to do.
 */
export function fitVisibleRoom(root: HTMLElement): () => void {
  const seen = globalThis.visualViewport;
  if (!seen) return () => undefined;
  const abort = new AbortController();
  const fit = () => {
    // Enlarged by a pinch it is small as well, and that is no keyboard.
    if (1.01 < seen.scale) return;
    root.style.setProperty("--visible-height", `${seen.height}px`);
    scrollTo(0, 0);
  };
  seen.addEventListener("resize", fit, { signal: abort.signal });
  return () => {
    abort.abort();
    root.style.removeProperty("--visible-height");
  };
}
