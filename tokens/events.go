package tokens

import "bytes"

// dataField begins a line of data; the space is optional.
const dataField = "data: "

// events cuts a stream of server-sent events, written in pieces of any size, into the data of each. It keeps at most limit
// bytes of data and one line. An event with more than limit bytes of data, or with a longer line of any kind, is left out.
// Names and ids of events and comments are not needed and skipped.
type events struct {
	limit int
	each  func(data []byte) // data is good until it returns

	line    []byte // the beginning of a line whose end has not come
	data    []byte // the data of the event under way, its lines joined by \n
	hasData bool
	tooLong bool
	cr      bool // the last line ended with \r: a \n right after it belongs to it
}

func (e *events) write(p []byte) {
	for len(p) > 0 {
		if e.cr {
			e.cr = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			e.keep(p)
			return
		}
		e.cr = p[end] == '\r'
		if len(e.line) == 0 { // the common case: the whole line is here and needs no copy
			e.endLine(p[:end])
		} else {
			e.keep(p[:end])
			e.endLine(e.line)
			e.line = emptied(e.line)
		}
		p = p[end+1:]
	}
}

// close ends the stream. An event that lacks only its empty line is taken for complete: its data is JSON, and a part of
// that is not mistaken for the whole.
func (e *events) close() {
	if len(e.line) > 0 {
		e.endLine(e.line)
		e.line = nil
	}
	e.endEvent()
}

// keep takes up a part of a line, as far as it can be of use: one byte of it stays at least, so that the end of a long line
// is not mistaken for an empty one.
func (e *events) keep(p []byte) {
	if room := e.limit + len(dataField) - len(e.line); len(p) > room {
		e.tooLong = true
		p = p[:room]
	}
	e.line = append(e.line, p...)
}

func (e *events) endLine(line []byte) {
	if len(line) == 0 {
		e.endEvent()
		return
	}
	if len(line) > e.limit+len(dataField) {
		e.tooLong = true
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	if string(field) != "data" || e.tooLong {
		return
	}
	value = bytes.TrimPrefix(value, []byte(" "))
	if e.hasData {
		e.data = append(e.data, '\n')
	}
	e.hasData = true
	if len(e.data)+len(value) > e.limit {
		e.tooLong = true
		return
	}
	e.data = append(e.data, value...)
}

func (e *events) endEvent() {
	if e.hasData && !e.tooLong {
		e.each(e.data)
	}
	e.data, e.hasData, e.tooLong = emptied(e.data), false, false
}

// emptied returns a buffer for the next, which is not a large one for the rest of a stream that had one large event.
func emptied(buf []byte) []byte {
	if cap(buf) > 64<<10 {
		return nil
	}
	return buf[:0]
}
