package waitpoint

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

var (
	key1      = Key{"k1", []byte("0123456789abcdef0123456789abcdef")}
	key2      = Key{"k2", []byte("another secret, also of 32 bytes")}
	execution = ff.ExecutionIDFrom(7, [16]byte{1, 2, 3})
)

// both are keys of which k2 has expired.
func both(kid string) ([]byte, bool) {
	switch kid {
	case "k1":
		return key1.Secret, false
	case "k2":
		return nil, true
	default:
		return nil, false
	}
}

func point() *record.Waitpoint {
	return New(key1, record.WaitpointKey{ExecutionID: execution, WaitpointID: ff.WaitpointID{9}}, "legal", 0, 2000, 1000)
}

// FIX-S18: no text in a key can pass for the end of one part and the beginning of the next.
func TestMint_IsTheMACOfTheFramedParts(t *testing.T) {
	kid, digest, _ := strings.Cut(point().Token.Reveal(), ":")
	// Made by another program: each part behind its length in 8 bytes, then HMAC-SHA256.
	const want = "dd4e75a20ffcffc67a8cdddb84ec6b35b45eb53bc62803cc73b04d0d4562391f"
	if kid != "k1" || digest != want {
		t.Errorf("token %s:%s, want k1:%s", kid, digest, want)
	}
}

// The order and the errors of chapter 40, section 7.3.
func TestVerify(t *testing.T) {
	w := point()
	digest := strings.TrimPrefix(w.Token.Reveal(), "k1:")
	for name, tc := range map[string]struct {
		token ff.WaitpointToken
		want  *ff.Error
	}{
		"its own":             {w.Token, nil},
		"empty":               {"", ff.ErrMissingToken},
		"no colon":            {"k1", ff.ErrInvalidToken},
		"empty kid":           {ff.WaitpointToken(":" + digest), ff.ErrInvalidToken},
		"empty digest":        {"k1:", ff.ErrInvalidToken},
		"short digest":        {ff.WaitpointToken("k1:" + digest[2:]), ff.ErrInvalidToken},
		"long digest":         {ff.WaitpointToken("k1:" + digest + "00"), ff.ErrInvalidToken},
		"upper case":          {ff.WaitpointToken("k1:" + strings.ToUpper(digest)), ff.ErrInvalidToken},
		"no hex":              {ff.WaitpointToken("k1:" + strings.Repeat("x", 64)), ff.ErrInvalidToken},
		"unknown kid":         {ff.WaitpointToken("k9:" + digest), ff.ErrInvalidToken},
		"expired kid":         {ff.WaitpointToken("k2:" + digest), ff.ErrTokenExpired},
		"expired, any digest": {ff.WaitpointToken("k2:" + strings.Repeat("0", 64)), ff.ErrTokenExpired},
		"another digest":      {ff.WaitpointToken("k1:" + strings.Repeat("0", 64)), ff.ErrInvalidToken},
	} {
		if err := Verify(both, tc.token, w); (tc.want == nil) != (err == nil) || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if err := Verify(both, w.Token, nil); !errors.Is(err, ff.ErrInvalidToken) {
		t.Errorf("of a waitpoint that is not there: %v", err)
	}
}

// I13: one flipped bit, or anything else about the waitpoint, and it is refused.
func TestVerify_IsOfOneWaitpointAlone(t *testing.T) {
	w := point()
	text := []byte(w.Token.Reveal())
	for i := range text {
		for bit := range 8 {
			forged := []byte(string(text))
			forged[i] ^= 1 << bit
			if Verify(both, ff.WaitpointToken(forged), w) == nil {
				t.Errorf("a token with bit %d of byte %d flipped is accepted", bit, i)
			}
		}
	}
	for name, change := range map[string]func(w *record.Waitpoint){
		"execution": func(w *record.Waitpoint) { w.ExecutionID = ff.ExecutionIDFrom(7, [16]byte{1, 2, 4}) },
		"partition": func(w *record.Waitpoint) { w.ExecutionID = ff.ExecutionIDFrom(8, [16]byte{1, 2, 3}) },
		"waitpoint": func(w *record.Waitpoint) { w.WaitpointID = ff.WaitpointID{8} },
		"key":       func(w *record.Waitpoint) { w.Name = "legal " },
		"time":      func(w *record.Waitpoint) { w.CreatedAt++ },
	} {
		other := *w
		change(&other)
		if Verify(both, w.Token, &other) == nil {
			t.Errorf("it is accepted for another %s", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	w := point()
	f.Add(w.Token.Reveal() + "0")
	f.Add("k1:" + hex.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		if text != w.Token.Reveal() && Verify(both, ff.WaitpointToken(text), w) == nil {
			t.Errorf("%q is accepted", text)
		}
	})
}

func link() Link {
	return Link{ExecutionID: execution, WaitpointID: ff.WaitpointID{9}, SignalName: "approved", Source: "ann", ExpiresAt: 5000, SingleUse: true}
}

func TestLink_SaysWhatWasSealed(t *testing.T) {
	text, err := SealLink(key1, link())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Trim(text.Reveal(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || LinkKid(text) != "k1" {
		t.Errorf("link %q of key %q", text.Reveal(), LinkKid(text))
	}
	got, err := OpenLink(both, text, 5000)
	if got.ID == "" || err != nil {
		t.Errorf("at the moment of its expiry: %+v, %v", got, err)
	}
	if got.ID = ""; got != link() {
		t.Errorf("opened %+v, want %+v", got, link())
	}
	if _, err := OpenLink(both, text, 5001); !errors.Is(err, ff.ErrTokenExpired) {
		t.Errorf("after its expiry: %v", err)
	}
	retired, _ := SealLink(key2, link())
	if _, err := OpenLink(both, retired, 1); !errors.Is(err, ff.ErrTokenExpired) {
		t.Errorf("of a key that has expired: %v", err)
	}
}

func TestLink_IsRefusedWhenAnyByteDiffers(t *testing.T) {
	text, _ := SealLink(key1, link())
	for i := range text {
		for _, c := range []byte("Az_") {
			forged := []byte(text.Reveal())
			if forged[i] == c {
				continue
			}
			forged[i] = c
			if _, err := OpenLink(both, ff.SignalLink(forged), 1); err == nil {
				t.Errorf("byte %d as %q is accepted", i, c)
			}
		}
	}
	for _, bad := range []ff.SignalLink{"", "A", text + "A", text[:len(text)-1], text[4:], ff.SignalLink(strings.Repeat("A", 9000))} {
		if _, err := OpenLink(both, bad, 1); !errors.Is(err, ff.ErrInvalidToken) {
			t.Errorf("%.20q…: %v", bad.Reveal(), err)
		}
	}
}

func TestSealLink_HasABound(t *testing.T) {
	l := link()
	l.SignalName = strings.Repeat("x", ff.MaxLinkBytes)
	if _, err := SealLink(key1, l); !errors.Is(err, ff.ErrInvalidInput) {
		t.Errorf("sealed: %v", err)
	}
}

func FuzzOpenLink(f *testing.F) {
	text, _ := SealLink(key1, link())
	f.Add(text.Reveal())
	f.Add("AQACazE")
	f.Fuzz(func(t *testing.T, s string) {
		if s == text.Reveal() {
			return
		}
		if l, err := OpenLink(both, ff.SignalLink(s), 1); err == nil {
			t.Errorf("%q is accepted as %+v", s, l)
		}
	})
}
