package main

import (
	"context"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func anthropicMessages(ctx context.Context) heard {
	client := anthropic.NewClient(option.WithBaseURL(address), option.WithAPIKey(key))
	user := func(words string) anthropic.MessageParam {
		return anthropic.NewUserMessage(anthropic.NewTextBlock(words))
	}
	asked := anthropic.MessageNewParams{
		Model:     anthropic.Model(model),
		MaxTokens: maximum,
		Messages:  []anthropic.MessageParam{user(hello)},
	}
	ask := func() *anthropic.Message {
		answer, err := client.Messages.New(ctx, asked)
		must(err)
		return answer
	}
	of := func(answer *anthropic.Message) said {
		text := ""
		for _, block := range answer.Content {
			text += block.Text
		}
		return said{text, answer.Usage.InputTokens, answer.Usage.OutputTokens}
	}

	plain := of(ask())

	stream := client.Messages.NewStreaming(ctx, asked)
	whole := anthropic.Message{}
	for stream.Next() {
		must(whole.Accumulate(stream.Current()))
	}
	must(stream.Err())

	tool := anthropic.ToolParam{
		Name:        name,
		Description: anthropic.String(description),
		InputSchema: anthropic.ToolInputSchemaParam{Properties: properties, Required: required},
	}
	asked.Tools = []anthropic.ToolUnionParam{{OfTool: &tool}}
	asked.Messages = []anthropic.MessageParam{user(order)}
	called := ask()
	results := []anthropic.ContentBlockParamUnion{}
	for _, block := range called.Content {
		if block.Type == "tool_use" {
			results = append(results, anthropic.NewToolResultBlock(block.ID, run(string(block.Input)), false))
		}
	}
	asked.Messages = append(asked.Messages, called.ToParam(), anthropic.NewUserMessage(results...))
	return heard{plain, of(&whole), of(called), of(ask())}
}
