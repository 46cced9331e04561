// What every SDK's script shares: where the gateway is, what is asked, and the tool, which really runs its command.
import { execSync } from "node:child_process";

export const { ADDRESS, KEY, MODEL, ORDER } = process.env;
export const HELLO = "Good morning!";
export const NAME = "bash";
export const DESCRIPTION = "Runs a command in the shell.";
export const SCHEMA = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
export const MAXIMUM = 4000; // tokens

export const runs = ({ command }) => execSync(command, { encoding: "utf8" });

// `plain`, `stream`, `called` and `done` each come as [text, tokens of the prompt, tokens of the answer].
export const tell = (heard) => console.log(JSON.stringify(heard));
