/**
 * Takes a text and marks what is refused in it, where it stands.
 *
 * A field cannot colour its own text, so the same text lies behind it, unseen but for the marks.
 */
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { pieces, type Untypable } from "../../core/typing";

type Props = {
  element: RefObject<HTMLTextAreaElement | null>;
  label: string;
  text: string;
  refused: readonly Untypable[];
  readOnly: boolean;
  typed: (text: string) => void;
};

export function MarkedText({ element, label, text, refused, readOnly, typed }: Props) {
  const behind = useRef<HTMLDivElement>(null);
  return (
    <div class="marked">
      <div ref={behind} class="marks" aria-hidden="true">
        {0 < refused.length &&
          pieces(text, refused).map(({ text: piece, isRefused }) =>
            isRefused ? <mark>{piece}</mark> : piece,
          )}
        {/* A last empty line has no height otherwise. */}
        {"\n"}
      </div>
      <textarea
        ref={element}
        aria-label={label}
        aria-invalid={0 < refused.length}
        rows={8}
        spellcheck={false}
        autocapitalize="none"
        readOnly={readOnly}
        onInput={(event) => typed(event.currentTarget.value)}
        onScroll={({ currentTarget }) =>
          behind.current?.scrollTo(currentTarget.scrollLeft, currentTarget.scrollTop)
        }
      />
    </div>
  );
}
