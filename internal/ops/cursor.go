package ops

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"strings"

	ff "github.com/flowfabric/flowfabric"
)

// A cursor is a position in a list on its way through a caller's hands: the bytes of the position behind a checksum over
// them, the list and its filters. So one that was cut, changed or made for another list or other filters is refused, not
// followed to a wrong place. It is no secret and carries no authority.

const checksumBytes = 8

// newCursor writes a position in the list that filters describe.
func newCursor(list string, filters any, position []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(checksum(list, filters, position), position...))
}

// readCursor gives the position of a cursor of this list, which has size bytes. It fails with [ff.ErrInvalidInput].
func readCursor(list string, filters any, cursor string, size int) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if strings.ContainsAny(cursor, "\r\n") || err != nil || len(b) != checksumBytes+size || string(b[:checksumBytes]) != string(checksum(list, filters, b[checksumBytes:])) {
		return nil, invalid("after", "is not a cursor of this list with these filters; pass the Next of its last page, or nothing to begin")
	}
	return b[checksumBytes:], nil
}

func checksum(list string, filters any, position []byte) []byte {
	h := fnv.New64a()
	text, _ := json.Marshal([]any{list, filters, position}) // validated text and numbers: cannot fail
	_, _ = h.Write(text)                                    // never fails
	return h.Sum(nil)
}

// positionBytes is the size of a position by instant and execution.
const positionBytes = 8 + 2 + 16

func positionOf(at ff.Timestamp, id ff.ExecutionID) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(at))
	b = binary.BigEndian.AppendUint16(b, id.Partition().Index)
	u := id.UUID()
	return append(b, u[:]...)
}

func positionFrom(b []byte) (ff.Timestamp, ff.ExecutionID) {
	return ff.Timestamp(binary.BigEndian.Uint64(b)), ff.ExecutionIDFrom(binary.BigEndian.Uint16(b[8:]), [16]byte(b[10:]))
}
