/**
 * Asks for the code that proves that somebody stands next to the appliance.
 */
import { api } from "../../remote/api";
import { Field, type Fault } from "../../ui/field";
import { AuthForm } from "./authForm";

/** The daemon's rule, said before it has to refuse. */
const PASSWORD_CHARACTERS = 8;

export function ClaimForm() {
  return (
    <AuthForm
      title="Claim this Farhand"
      action="Claim"
      fields={["code", "user", "password", "repeat"]}
      intro={
        <p class="intro">
          Nobody owns this appliance yet. Whoever enters its claim code becomes its first
          administrator.
        </p>
      }
      concerns={concerns}
      check={check}
      submit={({ code = "", user = "", password = "" }) => api.claim(code, user, password)}
    >
      {(fault) => (
        <>
          <Field
            label="Claim code"
            name="code"
            autocomplete="one-time-code"
            autofocus
            fault={fault}
            hint={
              <>
                On the device's console (serial or screen), on a line that begins with{" "}
                <code>claim code:</code>. <code>make run</code> prints it in its terminal.
              </>
            }
          />
          <Field label="User" name="user" autocomplete="username" fault={fault} />
          <Field
            label="Password"
            name="password"
            secret
            autocomplete="new-password"
            hint={`At least ${PASSWORD_CHARACTERS} characters`}
            fault={fault}
          />
          <Field
            label="Repeat password"
            name="repeat"
            secret
            autocomplete="new-password"
            fault={fault}
          />
        </>
      )}
    </AuthForm>
  );
}

function concerns(code: string): string {
  return ["code", "user", "password"].find((field) => code.includes(field)) ?? "";
}

function check({ code, user, password = "", repeat }: Record<string, string>): Fault | null {
  if (!code) return { field: "code", message: "Enter the claim code." };
  if (!user) return { field: "user", message: "Choose a name to log in with." };
  if ([...password].length < PASSWORD_CHARACTERS) {
    return { field: "password", message: `Use at least ${PASSWORD_CHARACTERS} characters.` };
  }
  if (password !== repeat) return { field: "repeat", message: "The two are not the same." };
  return null;
}
