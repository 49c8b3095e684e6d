package tokens

// The dialects of [Usage.Provider].
const (
	OpenAI    = "openai"
	Anthropic = "anthropic"
)

// Usage is what one response cost. Counts are tokens, from 0 to 2^53, but for the sums Input and Total, which may have a
// few times that.
type Usage struct {
	// Provider is the dialect of the response, [OpenAI] or [Anthropic], whoever spoke it.
	Provider string
	// Model is the name the response gives; empty if it gives none, or one of more than 256 bytes.
	Model string
	// Input is what was read, CachedInput included, and with Anthropic also what was written to the cache.
	Input int64
	// Output is what was generated, with Thinking where the provider includes it, as OpenAI and Anthropic do.
	Output int64
	// Thinking is what was generated but is not in the answer. Anthropic does not tell it apart: 0.
	Thinking int64
	// CachedInput is the part of Input that came from a cache, and usually costs less.
	CachedInput int64
	// Total is Input plus Output, or what the provider says if that is more, as where it counts Thinking apart.
	Total int64
	// ResponseID is the provider's name for the response; empty if it has none, as embeddings, or one of more than 256 bytes.
	// Do not rely on it being unique.
	ResponseID string
}

// merge takes up what a later event of the same response tells. Counts of a stream are cumulative, but an event may leave
// out, or give as 0, what an earlier one told: so the larger stands.
func (u *Usage) merge(v Usage) {
	u.Provider = v.Provider
	if u.Model == "" {
		u.Model = v.Model
	}
	if u.ResponseID == "" {
		u.ResponseID = v.ResponseID
	}
	u.Input = max(u.Input, v.Input)
	u.Output = max(u.Output, v.Output)
	u.Thinking = max(u.Thinking, v.Thinking)
	u.CachedInput = max(u.CachedInput, v.CachedInput)
	u.Total = max(u.Total, v.Total, u.Input+u.Output)
}
