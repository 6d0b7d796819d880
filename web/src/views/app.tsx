/**
 * Decides what is shown first: the claim form, the login, or the console.
 */
import { session, sessionProblem } from "../state/session";
import { Mark } from "../ui/icon";
import { ClaimForm } from "./auth/claim";
import { LoginForm } from "./auth/login";
import { Console } from "./console/console";
import "../ui/card.css";

export function App() {
  const now = session.value;
  if (now === null) return <Waiting />;
  if (!now.claimed) return <ClaimForm />;
  if (now.user === null) return <LoginForm />;
  return <Console user={now.user} />;
}

/** Blank for the moment a healthy daemon takes; words only when it does not answer. */
function Waiting() {
  const problem = sessionProblem.value;
  return (
    <main class="centred" aria-busy="true">
      {problem !== null && (
        <div class="card">
          <Mark />
          <h1>Looking for Farhand…</h1>
          <p role="alert">{problem.message}</p>
        </div>
      )}
    </main>
  );
}
