package handle_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/handle"
)

var key = handle.Key{Kid: "k1", Secret: bytes.Repeat([]byte{7}, 32)}

func info() flowfabric.HandleInfo {
	return flowfabric.HandleInfo{
		ExecutionID: flowfabric.ExecutionIDFrom(65535, uuid.MustParse("0190c5b0-0000-7000-8000-0000000000ab")),
		Fence: flowfabric.Fence{
			LeaseID: flowfabric.LeaseID{1, 15: 2}, Epoch: math.MaxUint64, AttemptID: flowfabric.AttemptID{3, 15: 4}, AttemptIndex: 5,
		},
		Kind: flowfabric.HandleResumed, Lane: "a lane, ~", Namespace: "tenant-ä", WorkerID: "w", WorkerInstanceID: "w-1",
		LeaseTTL: 1500 * time.Millisecond,
	}
}

func seal(t testing.TB, k handle.Key, in flowfabric.HandleInfo) flowfabric.Handle {
	t.Helper()
	h, err := handle.Seal(k, in)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func open(h flowfabric.Handle, secret []byte) (flowfabric.HandleInfo, error) {
	s, err := handle.Parse(h)
	if err != nil {
		return flowfabric.HandleInfo{}, err
	}
	return s.Open(secret)
}

func decode(t testing.TB, h flowfabric.Handle) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(string(h))
	if err != nil {
		t.Fatalf("%q is not base64url without padding: %v", h, err)
	}
	return b
}

var sameID = cmp.Comparer(func(x, y flowfabric.ExecutionID) bool { return x == y })

func TestSeal_EveryFieldComesBack(t *testing.T) {
	for _, kind := range []flowfabric.HandleKind{"fresh", "resumed", "reclaimed"} {
		want := info()
		want.Kind = kind
		got, err := open(seal(t, key, want), key.Secret)
		if diff := cmp.Diff(want, got, sameID); diff != "" || err != nil {
			t.Errorf("%s: error %v, (-want +got):\n%s", kind, err, diff)
		}
	}
	if got, err := open(seal(t, key, flowfabric.HandleInfo{Kind: "fresh"}), key.Secret); err != nil || got != (flowfabric.HandleInfo{Kind: "fresh"}) {
		t.Errorf("empty: %+v, error %v", got, err)
	}
}

// The form is fixed: handles of one release are read by the next.
func TestSeal_FormIsFixed(t *testing.T) {
	const want = "ZkgBAmsxAv__AZDFsAAAcACAAAAAAAAAqwEAAAAAAAAAAAAAAAAAAAL__________wMAAAAAAAAAAAAAAAAAAAQAAAAAAAAABQAAAAAAAAXcAA" +
		"lhIGxhbmUsIH4ACXRlbmFudC3DpAABdwADdy0x1A4pStaJ98DNY0XQsGecT-yMRcEIGm3jKv2bQmvZIxs"
	if got := seal(t, key, info()); got != want {
		t.Errorf("handle %q, want %q", got, want)
	}
}

func TestSeal_LongestNamesFit(t *testing.T) {
	in := info()
	long := strings.Repeat("ß", flowfabric.MaxNameBytes/2)
	in.Lane = flowfabric.LaneID(strings.Repeat("l", flowfabric.MaxLaneIDBytes))
	in.Namespace, in.WorkerID, in.WorkerInstanceID = flowfabric.Namespace(long), flowfabric.WorkerID(long), flowfabric.WorkerInstanceID(long)
	h := seal(t, handle.Key{Kid: strings.Repeat("k", flowfabric.MaxKidBytes), Secret: key.Secret}, in)
	if n := len(decode(t, h)); n > 1024 {
		t.Errorf("%d bytes, want at most 1024", n)
	}
	if got, err := open(h, key.Secret); err != nil || got != in {
		t.Errorf("%+v, error %v", got, err)
	}
}

func TestSeal_RefusesWhatIsNoClaim(t *testing.T) {
	for name, c := range map[string]struct {
		kid    string
		change func(*flowfabric.HandleInfo)
	}{
		"kind":          {"k1", func(i *flowfabric.HandleInfo) { i.Kind = "suspended" }},
		"no kind":       {"k1", func(i *flowfabric.HandleInfo) { i.Kind = "" }},
		"ttl":           {"k1", func(i *flowfabric.HandleInfo) { i.LeaseTTL = -time.Second }},
		"attempt index": {"k1", func(i *flowfabric.HandleInfo) { i.Fence.AttemptIndex = -1 }},
		"size":          {"k1", func(i *flowfabric.HandleInfo) { i.WorkerID = flowfabric.WorkerID(strings.Repeat("w", 1000)) }},
		"longer text":   {"k1", func(i *flowfabric.HandleInfo) { i.WorkerID = flowfabric.WorkerID(strings.Repeat("w", 70_000)) }},
		"text":          {"k1", func(i *flowfabric.HandleInfo) { i.Namespace = "\xff" }},
		"no kid":        {"", func(*flowfabric.HandleInfo) {}},
		"long kid":      {strings.Repeat("k", 65), func(*flowfabric.HandleInfo) {}},
	} {
		in := info()
		c.change(&in)
		if h, err := handle.Seal(handle.Key{Kid: c.kid, Secret: key.Secret}, in); !errors.Is(err, flowfabric.ErrInvalidInput) || h != "" {
			t.Errorf("%s: handle %q, error %v; want %v", name, h, err, flowfabric.ErrInvalidInput)
		}
	}
}

func refusedAsCorrupt(t testing.TB, what string, h flowfabric.Handle) {
	t.Helper()
	if got, err := open(h, key.Secret); !errors.Is(err, flowfabric.ErrCorruption) || got != (flowfabric.HandleInfo{}) {
		t.Errorf("%s: %+v, error %v; want nothing and %v", what, got, err, flowfabric.ErrCorruption)
	}
}

func TestOpen_AnyChangedBitIsRefused(t *testing.T) {
	h := seal(t, key, info())
	for i := range len(h) {
		for bit := range 8 {
			b := []byte(h)
			b[i] ^= 1 << bit
			refusedAsCorrupt(t, "text with a changed bit", flowfabric.Handle(b))
		}
	}
	raw := decode(t, h)
	for i := range raw {
		for bit := range 8 {
			b := bytes.Clone(raw)
			b[i] ^= 1 << bit
			refusedAsCorrupt(t, "content with a changed bit", flowfabric.Handle(base64.RawURLEncoding.EncodeToString(b)))
		}
	}
}

func TestOpen_OtherTextsAreRefused(t *testing.T) {
	h := seal(t, key, info())
	for n := range len(h) {
		refusedAsCorrupt(t, "cut off", h[:n])
		refusedAsCorrupt(t, "with a line break", h[:n]+"\n"+h[n:])
		refusedAsCorrupt(t, "with a carriage return", h[:n]+"\r"+h[n:])
	}
	refusedAsCorrupt(t, "longer", h+"A")
	refusedAsCorrupt(t, "padded", h+"=")
	refusedAsCorrupt(t, "twice", h+h)
	refusedAsCorrupt(t, "in another alphabet", flowfabric.Handle(base64.RawStdEncoding.EncodeToString(decode(t, h))))
	refusedAsCorrupt(t, "far too long", flowfabric.Handle(strings.Repeat("A", 1367)))
	refusedAsCorrupt(t, "another key's", seal(t, handle.Key{Kid: "k1", Secret: bytes.Repeat([]byte{8}, 32)}, info()))
}

func TestParse_NamesTheKey(t *testing.T) {
	s, err := handle.Parse(seal(t, handle.Key{Kid: "2026-11", Secret: key.Secret}, info()))
	if err != nil || s.Kid() != "2026-11" {
		t.Errorf("kid %q, error %v; want 2026-11", s.Kid(), err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(string(seal(f, key, info())))
	f.Add("")
	f.Add("ZkgB")
	own := make(map[string]bool)
	own[string(seal(f, key, info()))] = true
	f.Fuzz(func(t *testing.T, text string) {
		got, err := open(flowfabric.Handle(text), key.Secret)
		switch {
		case own[text] && err != nil:
			t.Errorf("a good handle is refused: %v", err)
		case !own[text] && !errors.Is(err, flowfabric.ErrCorruption):
			t.Errorf("%q opens as %+v, error %v", text, got, err)
		}
	})
}
