// Package tokens reads what calls of language models cost from the providers' responses, so that the spending of agents
// is counted without touching each call:
//
//	models := &http.Client{Transport: &tokens.Transport{
//		Report: func(ctx context.Context, u tokens.Usage) error {
//			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
//			defer cancel()
//			return settle(ctx, u) // on a budget, for instance
//		},
//	}}
//
// Give that client to the provider's library. [Transport] passes every response on as it came, byte for byte, and
// calls Report once for each that tells its usage.
//
// # In a worker
//
// Report gets the context of the request. A handler that makes its requests with its own context, as it should, is found
// there: by worker.TaskFrom and by whatever else package worker keeps in the context of a handler. So one client, made once,
// settles on the budget of whichever task makes the call. worker.ReportTokens is a Report that does.
//
// A stream that a caller breaks off has cost tokens all the same, and then that context has often ended already. A Report
// that must not lose them takes context.WithoutCancel and a bound of its own, as above.
//
// A response is reported once, so what Report writes needs a key only against its own repetitions. [Usage.ResponseID] will
// do as a part of such a key, not alone: some gateways number their responses at random from a small range, and not every
// response has one. A request that is repeated has another response, which costs again.
//
// # What is counted
//
// Responses are told by their shape, not by the host they come from, which may be a proxy, a gateway or a server of one's
// own. Two dialects are known:
//
//   - [OpenAI]: chat completions, completions, embeddings and the responses API, and whatever else answers with prompt_tokens
//     or total_tokens in its usage
//   - [Anthropic]: the messages API
//
// each as one JSON document (application/json) or as a stream of server-sent events (text/event-stream). Only answers with
// a status of 200 to 299 to a POST are looked at: reading a stored response again costs nothing. This leaves out the
// responses API in background mode, whose POST answers before anything is spent. All else passes unread:
// other content types, and bodies with a Content-Encoding. net/http decompresses what it asked for itself; a caller that
// sets Accept-Encoding gets its responses compressed and uncounted.
//
// A chat completion that is streamed tells its usage only if the request said stream_options.include_usage;
// [Transport.IncludeUsage] says it for callers that cannot. A stream of that kind that is broken off before its last event
// has told nothing, and is not counted. The others count with what they had told.
//
// What cannot be read is no error to the caller: it is passed on and not counted. That holds for malformed JSON, for
// counts that are negative or beyond 2^53, and for a document or a single event of more than [MaxJSON] bytes. Nothing else
// is kept of a stream than the event under way and the sums.
//
// # When a report fails
//
// The error of Report, for instance that a budget is used up, comes to whoever reads the response: in place of io.EOF,
// after all of the body, and from Close. A caller that stops reading at the last event of a stream, or decodes one document
// and never reads on, and then ignores what Close returns, does not learn of it. To stop such a caller, Report ends
// the context that requests are made with.
//
// The package depends on the standard library alone. The exported names follow the stability note of package flowfabric.
package tokens
