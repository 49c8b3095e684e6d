package tokens_test

import "github.com/flowfabric/flowfabric/tokens"

// response is one answer of a provider and what it used.
type response struct {
	name  string
	media string
	text  string
	want  []tokens.Usage // none, or one
}

const (
	jsonMedia  = "application/json"
	eventMedia = "text/event-stream; charset=utf-8"
)

var documents = []response{
	{
		name: "chat completion", media: jsonMedia,
		text: `{
  "id": "chatcmpl-9f", "object": "chat.completion", "created": 1755000000, "model": "small-1",
  "choices": [{"index": 0, "message": {"role": "assistant", "content": "about \"usage\": {} and so on"}, "finish_reason": "stop"}],
  "usage": {"prompt_tokens": 1200, "completion_tokens": 340, "total_tokens": 1540,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 256, "accepted_prediction_tokens": 0}},
  "service_tier": "default"
}
`,
		want: []tokens.Usage{{
			Provider: "openai", Model: "small-1", ResponseID: "chatcmpl-9f",
			Input: 1200, Output: 340, Thinking: 256, CachedInput: 1024, Total: 1540,
		}},
	},
	{
		name: "chat completion of a gateway that tells little", media: "application/json; charset",
		text: `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":null}}`,
		want: []tokens.Usage{{Provider: "openai", Input: 7, Output: 3, Total: 10}},
	},
	{
		name: "reasoning counted apart from the completion", media: jsonMedia,
		text: `{"id":"a","model":"m","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"completion_tokens_details":{"reasoning_tokens":100}}}`,
		want: []tokens.Usage{{Provider: "openai", Model: "m", ResponseID: "a", Input: 10, Output: 5, Thinking: 100, Total: 115}},
	},
	{
		name: "response", media: jsonMedia,
		text: `{"id":"resp_1","object":"response","status":"completed","model":"small-2","output":[{"type":"message","content":[]}],
"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":12},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}`,
		want: []tokens.Usage{{
			Provider: "openai", Model: "small-2", ResponseID: "resp_1",
			Input: 36, Output: 87, Thinking: 64, CachedInput: 12, Total: 123,
		}},
	},
	{
		name: "response that is queued", media: jsonMedia,
		text: `{"id":"resp_2","object":"response","status":"queued","model":"small-2","output":[],"usage":null}`,
	},
	{
		name: "embeddings", media: jsonMedia,
		text: `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-1e-3]}],"model":"embed-1","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		want: []tokens.Usage{{Provider: "openai", Model: "embed-1", Input: 8, Total: 8}},
	},
	{
		name: "embeddings that tell a total alone", media: jsonMedia,
		text: `{"object":"list","data":[],"model":"embed-2","usage":{"total_tokens":10}}`,
		want: []tokens.Usage{{Provider: "openai", Model: "embed-2", Total: 10}},
	},
	{
		name: "message", media: jsonMedia,
		text: `{"id":"msg_01","type":"message","role":"assistant","model":"large-4","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn",
"usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":2051,"output_tokens":393,"service_tier":"standard"}}`,
		want: []tokens.Usage{{
			Provider: "anthropic", Model: "large-4", ResponseID: "msg_01",
			Input: 2260, Output: 393, CachedInput: 2051, Total: 2653,
		}},
	},
	{
		name: "message without a cache", media: jsonMedia,
		text: `{"type":"message","id":"msg_02","model":"large-4","usage":{"input_tokens":5,"output_tokens":6,"cache_read_input_tokens":null}}`,
		want: []tokens.Usage{{Provider: "anthropic", Model: "large-4", ResponseID: "msg_02", Input: 5, Output: 6, Total: 11}},
	},
	{
		name: "counts up to 2^53", media: jsonMedia,
		text: `{"usage":{"prompt_tokens":9007199254740992,"completion_tokens":9007199254740992}}`,
		want: []tokens.Usage{{Provider: "openai", Input: 9007199254740992, Output: 9007199254740992, Total: 18014398509481984}},
	},
	{
		name: "members of other types where ours would be", media: jsonMedia,
		text: `{"id":17,"model":{"name":"m"},"type":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		want: []tokens.Usage{{Provider: "openai", Input: 1, Output: 2, Total: 3}},
	},

	{name: "count beyond 2^53", media: jsonMedia, text: `{"usage":{"prompt_tokens":9007199254740993,"completion_tokens":1}}`},
	{name: "negative count", media: jsonMedia, text: `{"usage":{"prompt_tokens":5,"completion_tokens":-1}}`},
	{name: "fraction", media: jsonMedia, text: `{"usage":{"prompt_tokens":5.5}}`},
	{name: "count as text", media: jsonMedia, text: `{"usage":{"prompt_tokens":"5"}}`},
	{name: "usage of another kind", media: jsonMedia, text: `{"usage":{"cpu_seconds":12,"input_tokens":3}}`},
	{name: "usage as text", media: jsonMedia, text: `{"usage":"high","type":"message"}`},
	{name: "count of tokens before a call", media: jsonMedia, text: `{"input_tokens":2095}`},
	{name: "list", media: jsonMedia, text: `[{"usage":{"prompt_tokens":5,"completion_tokens":1}}]`},
	{name: "cut off", media: jsonMedia, text: `{"id":"x","usage":{"prompt_tokens":5,"completion_tokens":1}`},
	{name: "two documents", media: jsonMedia, text: `{"usage":{"prompt_tokens":5}} {"usage":{"prompt_tokens":5}}`},
	{name: "no JSON", media: jsonMedia, text: "<html>"},
	{name: "empty", media: jsonMedia, text: ""},
	{name: "another media type", media: "text/plain", text: `{"usage":{"prompt_tokens":5,"completion_tokens":1}}`},
	{name: "no media type", media: "", text: `{"usage":{"prompt_tokens":5,"completion_tokens":1}}`},
}

var streams = []response{
	{
		name: "chat completion chunks", media: eventMedia,
		text: `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"small-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"small-1","choices":[{"index":0,"delta":{"content":"the \"usage\" of"}}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"small-1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}

data: [DONE]

`,
		want: []tokens.Usage{{
			Provider: "openai", Model: "small-1", ResponseID: "chatcmpl-1",
			Input: 11, Output: 22, Thinking: 5, CachedInput: 4, Total: 33,
		}},
	},
	{
		name: "chat completion chunks that were not asked for usage", media: eventMedia,
		text: "data: {\"id\":\"chatcmpl-2\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n",
	},
	{
		name: "usage that grows with each chunk", media: eventMedia,
		text: "data:{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\r\n\r\n: keep alive\r\n\r\ndata:{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\r\n\r\ndata:[DONE]\r\n\r\n",
		want: []tokens.Usage{{Provider: "openai", Input: 9, Output: 2, Total: 11}},
	},
	{
		name: "events of the responses API", media: eventMedia,
		text: `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_7","object":"response","status":"in_progress","model":"small-2","usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":1,"delta":"hi"}

event: response.completed
data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_7","object":"response","status":"completed","model":"small-2","usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":7}}}

`,
		want: []tokens.Usage{{
			Provider: "openai", Model: "small-2", ResponseID: "resp_7",
			Input: 3, Output: 4, Thinking: 2, CachedInput: 1, Total: 7,
		}},
	},
	{
		name: "response that is incomplete", media: eventMedia,
		text: "data: {\"type\":\"response.incomplete\",\"response\":{\"object\":\"response\",\"usage\":{\"input_tokens\":3,\"output_tokens\":9}}}\n\n",
		want: []tokens.Usage{{Provider: "openai", Input: 3, Output: 9, Total: 12}},
	},
	{
		name: "message events", media: eventMedia,
		text: `event: message_start
data: {"type":"message_start","message":{"id":"msg_5","type":"message","role":"assistant","model":"large-4","content":[],"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a \"message_stop\" with \"usage\""}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":15}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}}

event: message_stop
data: {"type":"message_stop"}

`,
		want: []tokens.Usage{{
			Provider: "anthropic", Model: "large-4", ResponseID: "msg_5",
			Input: 1125, Output: 42, CachedInput: 1000, Total: 1167,
		}},
	},
	{
		name: "message whose input is told at its end", media: eventMedia,
		text: `data: {"type":"message_start","message":{"id":"msg_6","type":"message","model":"m","usage":{"input_tokens":0,"output_tokens":0}}}

data: {"type":"message_delta","usage":{"input_tokens":30,"cache_creation_input_tokens":0,"cache_read_input_tokens":12,"output_tokens":8}}

data: {"type":"message_stop"}

`,
		want: []tokens.Usage{{Provider: "anthropic", Model: "m", ResponseID: "msg_6", Input: 42, Output: 8, CachedInput: 12, Total: 50}},
	},
	{
		name: "event over several lines, ended by carriage returns", media: eventMedia,
		text: "id: 4\rdata: {\"usage\":\rdata:\rdata:{\"prompt_tokens\":5}}\rretry: 5\r\r",
		want: []tokens.Usage{{Provider: "openai", Input: 5, Total: 5}},
	},
	{
		name: "last event without its empty line", media: eventMedia,
		text: `data: {"usage":{"prompt_tokens":5,"completion_tokens":6}}`,
		want: []tokens.Usage{{Provider: "openai", Input: 5, Output: 6, Total: 11}},
	},
	{
		name: "malformed event among good ones", media: eventMedia,
		text: "data: {\"usage\":{\"prompt_tokens\":5,\n\ndata: {\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\ndata: \"usage\"\n\n",
		want: []tokens.Usage{{Provider: "openai", Input: 2, Output: 1, Total: 3}},
	},
	{
		name: "what comes after the end is not of the response", media: eventMedia,
		text: "data: {\"usage\":{\"prompt_tokens\":2}}\n\ndata: [DONE]\n\ndata: {\"usage\":{\"prompt_tokens\":50}}\n\n",
		want: []tokens.Usage{{Provider: "openai", Input: 2, Total: 2}},
	},
	{name: "no events", media: eventMedia, text: "usage\n\nthe data: {\"usage\":{\"prompt_tokens\":5}}\n\n"},
	{name: "empty stream", media: eventMedia, text: ""},
}
