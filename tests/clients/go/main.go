// Each of the vendors' SDKs for Go asks the gateway for an answer, a stream and a tool call, which really runs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

const (
	hello       = "Good morning!"
	name        = "bash"
	description = "Runs a command in the shell."
	maximum     = 4000 // tokens
)

var (
	address, key, model, order = os.Getenv("ADDRESS"), os.Getenv("KEY"), os.Getenv("MODEL"), os.Getenv("ORDER")

	properties = map[string]any{"command": map[string]any{"type": "string"}}
	required   = []string{"command"}
	schema     = map[string]any{"type": "object", "properties": properties, "required": required}
)

// said is a text, the tokens of the prompt and the tokens of the answer.
type said [3]any

type heard struct {
	Plain  said `json:"plain"`
	Stream said `json:"stream"`
	Called said `json:"called"`
	Done   said `json:"done"`
}

var sdks = map[string]func(context.Context) heard{
	"openai_chat":      openaiChat,
	"openai_responses": openaiResponses,
	"anthropic":        anthropicMessages,
	"google_genai":     googleGenAI,
}

func main() {
	told, err := json.Marshal(sdks[os.Args[1]](context.Background()))
	must(err)
	fmt.Println(string(told))
}

// run does what the model wants: arguments are the JSON of the tool's schema.
func run(arguments string) string {
	var wanted struct{ Command string }
	must(json.Unmarshal([]byte(arguments), &wanted))
	output, err := exec.Command("sh", "-c", wanted.Command).Output()
	must(err)
	return string(output)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
