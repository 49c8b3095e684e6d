// Package handle is the form of a [flowfabric.Handle]: it packs what a claim granted into a signed text and reads it back.
// It keeps no keys.
//
// The text is base64url without padding of
//
//	magic "fH", version 1, kid, kind, partition, execution, lease, epoch, attempt, attempt index, ttl in milliseconds,
//	lane, namespace, worker, instance, HMAC-SHA256 over all before it
//
// with integers in big-endian order, ids as their 16 bytes, and texts behind their length: one byte for the kid, two for
// the others. There is one text for one content.
package handle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flowfabric/flowfabric"
)

const (
	magic   = "fH"
	version = 1
	macSize = sha256.Size
)

// kinds are the kinds by their number, from 1.
var kinds = []flowfabric.HandleKind{flowfabric.HandleFresh, flowfabric.HandleResumed, flowfabric.HandleReclaimed}

var encoding = base64.RawURLEncoding.Strict()

// Key signs handles.
type Key struct {
	Kid    string // 1 to [flowfabric.MaxKidBytes] bytes
	Secret []byte
}

func (k Key) mac(signed []byte) []byte {
	h := hmac.New(sha256.New, k.Secret)
	h.Write(signed) // never fails
	return h.Sum(nil)
}

// Seal packs info. It fails with [flowfabric.ErrInvalidInput] when info cannot be of a claim: its kind is unknown, its ttl
// negative, or it has more than [flowfabric.MaxHandleBytes] bytes.
func Seal(key Key, info flowfabric.HandleInfo) (flowfabric.Handle, error) {
	w := writer{b: append(make([]byte, 0, 256), magic...)}
	w.b = append(w.b, version)
	if len(key.Kid) == 0 || len(key.Kid) > flowfabric.MaxKidBytes {
		return "", refuse("the name of its key has %d bytes; it must have 1 to %d", len(key.Kid), flowfabric.MaxKidBytes)
	}
	w.b = append(append(w.b, byte(len(key.Kid))), key.Kid...)
	kind := 0
	for kind < len(kinds) && kinds[kind] != info.Kind {
		kind++
	}
	if kind == len(kinds) {
		return "", refuse("there is no kind %q", info.Kind)
	}
	if info.LeaseTTL < 0 || info.Fence.AttemptIndex < 0 {
		return "", refuse("its ttl or attempt index is negative")
	}
	w.b = append(w.b, byte(kind+1))
	w.uint16(info.ExecutionID.Partition().Index)
	w.uuid(info.ExecutionID.UUID())
	w.uuid(info.Fence.LeaseID)
	w.uint64(info.Fence.Epoch)
	w.uuid(info.Fence.AttemptID)
	w.uint64(uint64(info.Fence.AttemptIndex))
	w.uint64(uint64(info.LeaseTTL.Milliseconds()))
	for _, s := range []string{string(info.Lane), string(info.Namespace), string(info.WorkerID), string(info.WorkerInstanceID)} {
		if len(s) > flowfabric.MaxHandleBytes || !utf8.ValidString(s) {
			return "", refuse("the text %.20q is no name", s)
		}
		w.text(s)
	}
	if n := len(w.b) + macSize; n > flowfabric.MaxHandleBytes {
		return "", refuse("it has %d bytes; at most %d are allowed", n, flowfabric.MaxHandleBytes)
	}
	return flowfabric.Handle(encoding.EncodeToString(append(w.b, key.mac(w.b)...))), nil
}

func refuse(format string, args ...any) error {
	return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Detail: "no handle can be made: " + fmt.Sprintf(format, args...)}
}

// Sealed is a handle that was taken apart and not verified yet.
type Sealed struct {
	kid    string
	signed []byte
	mac    []byte
	rest   []byte // of signed, behind the kid
}

// Parse takes a handle apart as far as the name of its key, which says what [Sealed.Open] needs. It fails with
// [flowfabric.ErrCorruption] when h is no handle.
func Parse(h flowfabric.Handle) (Sealed, error) {
	if encoding.DecodedLen(len(h)) > flowfabric.MaxHandleBytes {
		return Sealed{}, corrupt("it has %d characters; at most %d are allowed", len(h), encoding.EncodedLen(flowfabric.MaxHandleBytes))
	}
	if strings.ContainsAny(string(h), "\r\n") { // which the decoder would skip
		return Sealed{}, corrupt("it has a line break")
	}
	b, err := encoding.DecodeString(string(h))
	if err != nil {
		return Sealed{}, corrupt("it is not base64url without padding")
	}
	if len(b) < len(magic)+1+macSize || string(b[:len(magic)]) != magic {
		return Sealed{}, corrupt("it does not begin like one")
	}
	s := Sealed{signed: b[:len(b)-macSize], mac: b[len(b)-macSize:]}
	r := reader{b: s.signed[len(magic):]}
	if v := r.byte(); v != version {
		return Sealed{}, corrupt("it is of version %d; this engine reads version %d", v, version)
	}
	s.kid = string(r.take(int(r.byte())))
	s.rest = r.b
	if r.short || s.kid == "" || len(s.kid) > flowfabric.MaxKidBytes {
		return Sealed{}, corrupt("it does not name its key")
	}
	return s, nil
}

// Kid names the key the handle says it was signed with.
func (s Sealed) Kid() string { return s.kid }

// Open verifies the signature and returns what the handle says. It fails with [flowfabric.ErrCorruption].
func (s Sealed) Open(secret []byte) (flowfabric.HandleInfo, error) {
	if !hmac.Equal(Key{Kid: s.kid, Secret: secret}.mac(s.signed), s.mac) {
		return flowfabric.HandleInfo{}, corrupt("its signature does not match: it was changed, or another deployment made it")
	}
	r := reader{b: s.rest}
	var info flowfabric.HandleInfo
	kind := int(r.byte())
	if kind < 1 || kind > len(kinds) {
		return info, corrupt("there is no kind %d", kind)
	}
	info.Kind = kinds[kind-1]
	partition := r.uint16()
	info.ExecutionID = flowfabric.ExecutionIDFrom(partition, r.uuid())
	info.Fence.LeaseID = r.uuid()
	info.Fence.Epoch = r.uint64()
	info.Fence.AttemptID = r.uuid()
	info.Fence.AttemptIndex = int(r.uint64())
	info.LeaseTTL = time.Duration(r.uint64()) * time.Millisecond
	info.Lane = flowfabric.LaneID(r.text())
	info.Namespace = flowfabric.Namespace(r.text())
	info.WorkerID = flowfabric.WorkerID(r.text())
	info.WorkerInstanceID = flowfabric.WorkerInstanceID(r.text())
	if r.short || len(r.b) > 0 {
		return flowfabric.HandleInfo{}, corrupt("it is too short or too long")
	}
	return info, nil
}

func corrupt(format string, args ...any) error {
	return &flowfabric.Error{Code: flowfabric.CodeCorruption, Detail: "not a valid handle: " + fmt.Sprintf(format, args...)}
}

// writer appends fields.
type writer struct{ b []byte }

func (w *writer) uint16(v uint16)  { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) uint64(v uint64)  { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) uuid(id [16]byte) { w.b = append(w.b, id[:]...) }
func (w *writer) text(s string)    { w.uint16(uint16(len(s))); w.b = append(w.b, s...) }

// reader takes fields off the front. Once there are too few bytes it is short, and everything it returns is zero.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n > len(r.b) {
		r.short = true
		return nil
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *reader) fixed(n int) []byte {
	if field := r.take(n); field != nil {
		return field
	}
	return make([]byte, n)
}

func (r *reader) byte() byte     { return r.fixed(1)[0] }
func (r *reader) uint16() uint16 { return binary.BigEndian.Uint16(r.fixed(2)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.fixed(8)) }
func (r *reader) uuid() [16]byte { return [16]byte(r.fixed(16)) }
func (r *reader) text() string   { return string(r.take(int(r.uint16()))) }
