package flowfabric

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Condition says which signals resume a suspended execution (chapter 40, section 2). Make one with [OnSignal], [OnNamed],
// [OnAny], [OnCount], [OnAll], [OnOperator] or [OnTimeout]. Its JSON form is that of chapter 40, section 14.1.
type Condition struct {
	Kind ConditionKind
	// Waitpoints are the keys of the waitpoints whose signals count: one of a [ConditionSingle], 1 to [MaxWaitpoints] of a
	// [ConditionCount].
	Waitpoints []string
	// SignalName is what a signal must be called to count; empty for any.
	SignalName string
	// N signals that differ by By are wanted, of a [ConditionCount]: 1 to [MaxCount].
	N  int
	By CountKind
	// Members must all be satisfied, of a [ConditionAllOf].
	Members []Condition
}

// ConditionKind is a form of [Condition].
type ConditionKind string

// Kinds of conditions.
const (
	ConditionSingle       ConditionKind = "single"        // a signal on one waitpoint
	ConditionCount        ConditionKind = "count"         // several signals that differ
	ConditionAllOf        ConditionKind = "all_of"        // several conditions
	ConditionOperatorOnly ConditionKind = "operator_only" // no signal; only an operator resumes, or time
	ConditionTimeoutOnly  ConditionKind = "timeout_only"  // no signal; time, or an operator
)

// CountKind says by what signals must differ to be counted apart.
type CountKind string

// Count kinds.
const (
	DistinctWaitpoints CountKind = "DistinctWaitpoints"
	DistinctSignals    CountKind = "DistinctSignals"
	DistinctSources    CountKind = "DistinctSources" // by source type and source identity
)

// Bounds of conditions.
const (
	// MaxConditionBytes bounds the JSON form of a condition.
	MaxConditionBytes = 8192
	// MaxConditionDepth bounds how deep composites nest; the outermost is 1.
	MaxConditionDepth = 4
	// MaxCount bounds how many signals a count may want.
	MaxCount = 1000
)

// Names that no signal and no matcher may have: in lists they stand for conditions that no signal satisfies.
const (
	OperatorOnlyName = "__operator_only__"
	TimeoutOnlyName  = "__timeout_only__"
)

// OnSignal is satisfied by any signal on a waitpoint.
func OnSignal(key string) Condition {
	return Condition{Kind: ConditionSingle, Waitpoints: []string{key}}
}

// OnNamed is satisfied by a signal of a name on a waitpoint.
func OnNamed(key, signal string) Condition {
	return Condition{Kind: ConditionSingle, Waitpoints: []string{key}, SignalName: signal}
}

// OnAny is satisfied by any signal on one of the waitpoints.
func OnAny(keys ...string) Condition { return OnCount(1, DistinctWaitpoints, keys...) }

// OnCount is satisfied by n signals on the waitpoints that differ by kind. Set SignalName of the result to count only
// signals of that name.
func OnCount(n int, by CountKind, keys ...string) Condition {
	return Condition{Kind: ConditionCount, N: n, By: by, Waitpoints: keys}
}

// OnAll is satisfied once all of its members are.
func OnAll(members ...Condition) Condition {
	return Condition{Kind: ConditionAllOf, Members: members}
}

// OnOperator is satisfied by no signal: an operator must resume.
func OnOperator() Condition { return Condition{Kind: ConditionOperatorOnly} }

// OnTimeout is satisfied by no signal: the suspension ends at its deadline.
func OnTimeout() Condition { return Condition{Kind: ConditionTimeoutOnly} }

// Keys are the keys the condition names, sorted, each once.
func (c *Condition) Keys() []string {
	keys := slices.Clone(c.Waitpoints)
	for i := range c.Members {
		keys = append(keys, c.Members[i].Keys()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// RequiredNames are the signal names a list shows for the condition: empty for any, or for a composite.
func (c *Condition) RequiredNames() []string {
	switch c.Kind {
	case ConditionOperatorOnly:
		return []string{OperatorOnlyName}
	case ConditionTimeoutOnly:
		return []string{TimeoutOnlyName}
	case ConditionSingle:
		if c.SignalName != "" {
			return []string{c.SignalName}
		}
	default: // several, or any
	}
	return nil
}

// Validate checks the structure of the condition (chapter 40, section 2.3). It fails with [ErrInvalidInput], whose detail
// begins with the name of the rule.
func (c *Condition) Validate() error {
	if err := c.check("", 0); err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return invalid("resume_condition", err.Error())
	}
	if len(text) > MaxConditionBytes {
		return badCondition("condition_too_large: %d bytes; at most %d are allowed", len(text), MaxConditionBytes)
	}
	return nil
}

func badCondition(format string, args ...any) error {
	return &Error{Code: CodeInvalidInput, Detail: fmt.Sprintf(format, args...)}
}

// check checks a node at a path, below so many composites.
func (c *Condition) check(path string, above int) error {
	at := path
	if at == "" {
		at = "<root>"
	}
	switch c.Kind {
	case ConditionSingle:
		if len(c.Waitpoints) != 1 {
			return badCondition("single_needs_one_waitpoint at path %s", at)
		}
	case ConditionOperatorOnly, ConditionTimeoutOnly:
		if above > 0 {
			return badCondition("%s_in_composite at path %s: no signal could ever satisfy it", c.Kind, at)
		}
	case ConditionAllOf:
		return c.checkMembers(path, at, above+1)
	case ConditionCount:
		return c.checkCount(at, above+1)
	default:
		return badCondition("unknown_condition %q at path %s", c.Kind, at)
	}
	return c.checkLeaf(at)
}

func (c *Condition) checkMembers(path, at string, depth int) error {
	if depth > MaxConditionDepth {
		return badCondition("depth %d exceeds cap %d at path %s", depth, MaxConditionDepth, at)
	}
	if len(c.Members) == 0 {
		return badCondition("allof_empty_members at path %s", at)
	}
	for i := range c.Members {
		below := fmt.Sprintf("members[%d]", i)
		if path != "" {
			below = path + "." + below
		}
		if err := c.Members[i].check(below, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *Condition) checkCount(at string, depth int) error {
	switch {
	case depth > MaxConditionDepth:
		return badCondition("depth %d exceeds cap %d at path %s", depth, MaxConditionDepth, at)
	case c.N <= 0:
		return badCondition("count_n_zero at path %s", at)
	case c.N > MaxCount:
		return badCondition("count_n_too_large: n=%d > %d at path %s", c.N, MaxCount, at)
	case len(c.Waitpoints) == 0:
		return badCondition("count_waitpoints_empty at path %s", at)
	case c.By == DistinctWaitpoints && c.N > len(c.Waitpoints):
		return badCondition("count_exceeds_waitpoint_set: n=%d > waitpoints.len()=%d at path %s", c.N, len(c.Waitpoints), at)
	case c.By != DistinctWaitpoints && c.By != DistinctSignals && c.By != DistinctSources:
		return badCondition("unknown_count_kind %q at path %s", c.By, at)
	}
	sorted := slices.Sorted(slices.Values(c.Waitpoints))
	if len(slices.Compact(sorted)) != len(c.Waitpoints) {
		return badCondition("count_waitpoints_repeated at path %s", at)
	}
	return c.checkLeaf(at)
}

// checkLeaf checks the names in a node that signals are held against.
func (c *Condition) checkLeaf(at string) error {
	if c.SignalName == OperatorOnlyName || c.SignalName == TimeoutOnlyName {
		return badCondition("reserved_signal_name %s at path %s", c.SignalName, at)
	}
	if err := ValidateText("signal_name", c.SignalName, MaxNameBytes); err != nil {
		return err
	}
	for _, key := range c.Waitpoints {
		if key == "" {
			return badCondition("empty_waitpoint_key at path %s", at)
		}
		if err := ValidateText("waitpoint_key", key, MaxNameBytes); err != nil {
			return err
		}
	}
	return nil
}

// conditionJSON is the stored form: exactly one field is set.
type conditionJSON struct {
	Single    *singleJSON    `json:"Single,omitempty"`
	Composite *compositeJSON `json:"Composite,omitempty"`
}

type singleJSON struct {
	WaitpointKey string   `json:"waitpoint_key"`
	Matcher      *matcher `json:"matcher"`
}

type compositeJSON struct {
	Version    *int        `json:"v,omitempty"`
	Kind       string      `json:"kind"`
	Members    []Condition `json:"members,omitempty"`
	N          *int        `json:"n,omitempty"`
	CountKind  CountKind   `json:"count_kind,omitempty"`
	Matcher    *matcher    `json:"matcher,omitempty"`
	Waitpoints []string    `json:"waitpoints,omitempty"`
}

// matcher is a signal name; empty for any.
type matcher string

// MarshalJSON implements [json.Marshaler].
func (m matcher) MarshalJSON() ([]byte, error) {
	if m == "" {
		return []byte(`"Wildcard"`), nil
	}
	return json.Marshal(map[string]string{"ByName": string(m)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *matcher) UnmarshalJSON(text []byte) error {
	if string(text) == `"Wildcard"` {
		return nil
	}
	var by struct {
		ByName *string `json:"ByName"`
	}
	if err := strict(text, &by); err != nil || by.ByName == nil {
		return badCondition("unknown_matcher %.100s", text)
	}
	if *by.ByName == "" {
		return badCondition("resume_condition: empty signal name (use Wildcard instead)")
	}
	*m = matcher(*by.ByName)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (c Condition) MarshalJSON() ([]byte, error) {
	m := matcher(c.SignalName)
	switch c.Kind {
	case ConditionOperatorOnly:
		return []byte(`"OperatorOnly"`), nil
	case ConditionTimeoutOnly:
		return []byte(`"TimeoutOnly"`), nil
	case ConditionSingle:
		return json.Marshal(conditionJSON{Single: &singleJSON{WaitpointKey: strings.Join(c.Waitpoints, ""), Matcher: &m}})
	case ConditionAllOf:
		return json.Marshal(conditionJSON{Composite: &compositeJSON{Kind: "AllOf", Members: c.Members}})
	case ConditionCount:
		composite := &compositeJSON{Kind: "Count", N: &c.N, CountKind: c.By, Waitpoints: c.Waitpoints}
		if m != "" {
			composite.Matcher = &m
		}
		return json.Marshal(conditionJSON{Composite: composite})
	default:
		return nil, badCondition("unknown_condition %q", c.Kind)
	}
}

// maxConditionText bounds a condition that is read, with whatever white space. Each level is read once for every level above
// it, so without a bound a deep one could take any time.
const maxConditionText = 2 * MaxConditionBytes

// UnmarshalJSON implements [json.Unmarshaler]. It refuses what it does not know, but does not validate what it does.
func (c *Condition) UnmarshalJSON(text []byte) error {
	if len(text) > maxConditionText {
		return badCondition("condition_too_large: %d bytes; at most %d are read", len(text), maxConditionText)
	}
	switch string(text) {
	case `"OperatorOnly"`:
		*c = OnOperator()
		return nil
	case `"TimeoutOnly"`:
		*c = OnTimeout()
		return nil
	}
	var in conditionJSON
	if err := strict(text, &in); err != nil {
		return badCondition("unknown_condition: %v", err)
	}
	switch {
	case in.Single != nil && in.Composite == nil:
		*c = Condition{Kind: ConditionSingle, Waitpoints: []string{in.Single.WaitpointKey}}
		if in.Single.Matcher != nil {
			c.SignalName = string(*in.Single.Matcher)
		}
		return nil
	case in.Composite != nil && in.Single == nil:
		return c.readComposite(in.Composite)
	default:
		return badCondition("unknown_condition %.100s", text)
	}
}

func (c *Condition) readComposite(in *compositeJSON) error {
	if in.Version != nil && *in.Version != 1 {
		return badCondition("unknown_condition_version %d; this engine knows version 1", *in.Version)
	}
	switch in.Kind {
	case "AllOf":
		*c = Condition{Kind: ConditionAllOf, Members: in.Members}
	case "Count":
		*c = Condition{Kind: ConditionCount, By: in.CountKind, Waitpoints: in.Waitpoints}
		if in.N != nil {
			c.N = *in.N
		}
		if in.Matcher != nil {
			c.SignalName = string(*in.Matcher)
		}
	default:
		return badCondition("unknown_composite %q", in.Kind)
	}
	return nil
}

// strict decodes one JSON value and refuses fields nobody knows.
func strict(text []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
