package tokens

import "bytes"

// A meter looks at the bytes of one response as they pass. It is not safe for concurrent use.
type meter interface {
	// write takes the next bytes and tells whether the response has ended with them, so that nothing more need be looked at.
	write(p []byte) (ended bool)
	// sum is called once, when no more bytes come, and tells what was used as far as they said.
	sum() (Usage, bool)
}

// document meters a response that is one JSON document.
type document struct {
	limit   int
	text    []byte
	tooLong bool
}

func (d *document) write(p []byte) bool {
	if d.tooLong || len(d.text)+len(p) > d.limit {
		d.text, d.tooLong = nil, true
		return false
	}
	d.text = append(d.text, p...)
	return false
}

func (d *document) sum() (Usage, bool) {
	u, found, _ := decode(d.text)
	return u, found
}

// stream meters a response that is a stream of events.
type stream struct {
	events events
	used   Usage
	found  bool
	ended  bool
}

func newStream(limit int) *stream {
	s := &stream{}
	s.events = events{limit: limit, each: s.event}
	return s
}

func (s *stream) write(p []byte) bool {
	s.events.write(p)
	return s.ended
}

func (s *stream) sum() (Usage, bool) {
	s.events.close()
	return s.used, s.found
}

// Only these words in its data make an event worth decoding; most events of a stream are a few letters of text.
var (
	wordUsage = []byte(`"usage"`)
	wordStop  = []byte(`"message_stop"`)
	done      = []byte("[DONE]")
)

func (s *stream) event(data []byte) {
	if s.ended {
		return
	}
	if bytes.Equal(bytes.TrimSpace(data), done) {
		s.ended = true
		return
	}
	if !bytes.Contains(data, wordUsage) && !bytes.Contains(data, wordStop) {
		return
	}
	u, found, last := decode(data)
	if found {
		s.used.merge(u)
	}
	s.found = s.found || found
	s.ended = last
}
