package main

import (
	"context"
	"encoding/json"

	"google.golang.org/genai"
)

func googleGenAI(ctx context.Context) heard {
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		APIKey:      key,
		Backend:     genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: address},
	})
	must(err)
	var config *genai.GenerateContentConfig
	ask := func(contents []*genai.Content) *genai.GenerateContentResponse {
		answer, err := client.Models.GenerateContent(ctx, model, contents, config)
		must(err)
		return answer
	}
	of := func(answer *genai.GenerateContentResponse) said {
		usage := answer.UsageMetadata
		return said{answer.Text(), usage.PromptTokenCount, usage.CandidatesTokenCount}
	}

	plain := of(ask(genai.Text(hello)))

	pieces, last := "", plain
	for chunk, err := range client.Models.GenerateContentStream(ctx, model, genai.Text(hello), nil) {
		must(err)
		pieces += chunk.Text()
		if chunk.UsageMetadata != nil {
			last = of(chunk)
		}
	}

	declared := &genai.FunctionDeclaration{Name: name, Description: description, ParametersJsonSchema: schema}
	config = &genai.GenerateContentConfig{
		Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{declared}}},
	}
	contents := genai.Text(order)
	called := ask(contents)
	results := []*genai.Part{}
	for _, call := range called.FunctionCalls() {
		arguments, err := json.Marshal(call.Args)
		must(err)
		result := map[string]any{"output": run(string(arguments))}
		answer := &genai.FunctionResponse{ID: call.ID, Name: call.Name, Response: result}
		results = append(results, &genai.Part{FunctionResponse: answer})
	}
	contents = append(contents, called.Candidates[0].Content, &genai.Content{Role: "user", Parts: results})
	return heard{plain, said{pieces, last[1], last[2]}, of(called), of(ask(contents))}
}
