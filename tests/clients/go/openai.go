package main

import (
	"context"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func openaiClient() openai.Client {
	return openai.NewClient(option.WithBaseURL(address+"/v1"), option.WithAPIKey(key))
}

func openaiChat(ctx context.Context) heard {
	client := openaiClient()
	asked := openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(hello)},
	}
	ask := func() *openai.ChatCompletion {
		answer, err := client.Chat.Completions.New(ctx, asked)
		must(err)
		return answer
	}
	of := func(answer *openai.ChatCompletion) said {
		return said{answer.Choices[0].Message.Content, answer.Usage.PromptTokens, answer.Usage.CompletionTokens}
	}

	plain := of(ask())

	streamed := asked
	streamed.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	stream := client.Chat.Completions.NewStreaming(ctx, streamed)
	whole := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		whole.AddChunk(stream.Current())
	}
	must(stream.Err())

	asked.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage(order)}
	function := openai.FunctionDefinitionParam{Name: name, Description: openai.String(description), Parameters: schema}
	asked.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(function)}
	called := ask()
	asked.Messages = append(asked.Messages, called.Choices[0].Message.ToParam())
	for _, call := range called.Choices[0].Message.ToolCalls {
		asked.Messages = append(asked.Messages, openai.ToolMessage(run(call.Function.Arguments), call.ID))
	}
	return heard{plain, of(&whole.ChatCompletion), of(called), of(ask())}
}

func openaiResponses(ctx context.Context) heard {
	client := openaiClient()
	text := func(words string) responses.ResponseNewParamsInputUnion {
		return responses.ResponseNewParamsInputUnion{OfString: openai.String(words)}
	}
	asked := responses.ResponseNewParams{Model: model, Input: text(hello), Store: openai.Bool(false)}
	ask := func() *responses.Response {
		answer, err := client.Responses.New(ctx, asked)
		must(err)
		return answer
	}
	of := func(answer *responses.Response) said {
		return said{answer.OutputText(), answer.Usage.InputTokens, answer.Usage.OutputTokens}
	}

	plain := of(ask())

	stream := client.Responses.NewStreaming(ctx, asked)
	pieces, whole := "", responses.Response{}
	for stream.Next() {
		switch event := stream.Current().AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			pieces += event.Delta
		case responses.ResponseCompletedEvent:
			whole = event.Response
		}
	}
	must(stream.Err())

	tool := responses.ToolParamOfFunction(name, schema, false)
	asked.Tools = []responses.ToolUnionParam{tool}
	conversation := responses.ResponseInputParam{
		responses.ResponseInputItemParamOfMessage(order, responses.EasyInputMessageRoleUser),
	}
	asked.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: conversation}
	called := ask()
	for _, item := range called.Output {
		if item.Type != "function_call" {
			continue
		}
		call := item.AsFunctionCall()
		output := responses.ResponseInputItemParamOfFunctionCallOutput(run(call.Arguments))
		output.OfFunctionCallOutput.CallID = openai.String(call.CallID)
		asked := responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.CallID, call.Name)
		conversation = append(conversation, asked, output)
	}
	asked.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: conversation}
	return heard{plain, said{pieces, whole.Usage.InputTokens, whole.Usage.OutputTokens}, of(called), of(ask())}
}
