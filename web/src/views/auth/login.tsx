/**
 * Asks who is there.
 */
import { api } from "../../remote/api";
import { Field, type Fault } from "../../ui/field";
import { AuthForm } from "./authForm";

export function LoginForm() {
  return (
    <AuthForm
      title="Log in to Farhand"
      action="Log in"
      fields={["user", "password"]}
      concerns={(code) => (code === "wrong-password" ? "password" : "")}
      check={check}
      submit={({ user = "", password = "" }) => api.login(user, password)}
    >
      {(fault) => (
        <>
          <Field label="User" name="user" autocomplete="username" autofocus fault={fault} />
          <Field
            label="Password"
            name="password"
            secret
            autocomplete="current-password"
            fault={fault}
          />
        </>
      )}
    </AuthForm>
  );
}

function check({ user, password }: Record<string, string>): Fault | null {
  if (!user) return { field: "user", message: "Enter your name." };
  if (!password) return { field: "password", message: "Enter your password." };
  return null;
}
