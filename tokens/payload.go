package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	maxName  = 256     // bytes of a model's name and of a response's id
	maxCount = 1 << 53 // the integers that JSON carries exactly everywhere; three of them add up without overflow
)

// payload is a JSON document or the data of one event: what both dialects have in the places where usage is told.
type payload struct {
	Type     string          `json:"type"`
	Object   string          `json:"object"`
	ID       string          `json:"id"`
	Model    string          `json:"model"`
	Usage    json.RawMessage `json:"usage"`
	Message  json.RawMessage `json:"message"`  // of message_start
	Response json.RawMessage `json:"response"` // of response.completed and its like
}

// counts is the usage of either dialect. A pointer tells a count that is absent or null from 0.
type counts struct {
	PromptTokens     *count `json:"prompt_tokens"`
	CompletionTokens count  `json:"completion_tokens"`
	PromptDetails    struct {
		Cached count `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning count `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
	TotalTokens *count `json:"total_tokens"`

	InputTokens  *count `json:"input_tokens"`
	OutputTokens *count `json:"output_tokens"`
	InputDetails struct {
		Cached count `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputDetails struct {
		Reasoning count `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`

	CacheCreation count `json:"cache_creation_input_tokens"`
	CacheRead     count `json:"cache_read_input_tokens"`
}

// count is an integer from 0 to [maxCount]. Nothing else decodes; null leaves it as it is.
type count int64

func (c *count) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("read a count of tokens: %w", err)
	}
	if n < 0 || n > maxCount {
		return fmt.Errorf("read a count of tokens: %d is not between 0 and 2^53", n)
	}
	*c = count(n)
	return nil
}

func (c *count) value() int64 {
	if c == nil {
		return 0
	}
	return int64(*c)
}

// decode tells what a document or event says of usage, if anything, and whether it is the last event of its response.
func decode(data []byte) (u Usage, found, last bool) {
	p, ok := parse(data)
	if !ok {
		return Usage{}, false, false
	}
	switch p.Type {
	case "message_start":
		p, ok = parse(p.Message)
	case "message_stop":
		return Usage{}, false, true
	case "response.completed", "response.incomplete", "response.failed":
		p, ok = parse(p.Response)
		last = true
	}
	if ok {
		u, found = p.usage()
	}
	return u, found, last
}

// parse reads data as a payload. A member of another type than ours counts as absent: there are more things in JSON with
// a "message" than we know.
func parse(data []byte) (payload, bool) {
	var p payload
	err := json.Unmarshal(data, &p)
	var other *json.UnmarshalTypeError
	return p, err == nil || errors.As(err, &other)
}

// usage tells the dialect by the members that are there, and brings its counts to one meaning.
func (p payload) usage() (Usage, bool) {
	var c counts
	if len(p.Usage) == 0 || json.Unmarshal(p.Usage, &c) != nil {
		return Usage{}, false
	}
	u := Usage{Model: bounded(p.Model), ResponseID: bounded(p.ID)}
	switch {
	case (p.Type == "message" || p.Type == "message_delta") && (c.InputTokens != nil || c.OutputTokens != nil):
		u.Provider = Anthropic
		u.Input = c.InputTokens.value() + int64(c.CacheCreation) + int64(c.CacheRead)
		u.CachedInput = int64(c.CacheRead)
		u.Output = c.OutputTokens.value()
	case c.PromptTokens != nil:
		u.Provider = OpenAI
		u.Input, u.CachedInput = c.PromptTokens.value(), int64(c.PromptDetails.Cached)
		u.Output, u.Thinking = int64(c.CompletionTokens), int64(c.CompletionDetails.Reasoning)
	case c.TotalTokens != nil || p.Object == "response" && c.InputTokens != nil:
		u.Provider = OpenAI
		u.Input, u.CachedInput = c.InputTokens.value(), int64(c.InputDetails.Cached)
		u.Output, u.Thinking = c.OutputTokens.value(), int64(c.OutputDetails.Reasoning)
	default:
		return Usage{}, false
	}
	u.Total = max(c.TotalTokens.value(), u.Input+u.Output)
	return u, true
}

func bounded(name string) string {
	if len(name) > maxName {
		return ""
	}
	return name
}
