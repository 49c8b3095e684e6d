package flowfabric

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// One key, its parts written by hand: the alphabet is that of base32, in lower case.
const (
	zeroKey    = "ffk_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	zeroDigest = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925" // SHA-256 of 32 zero bytes
)

func TestKeyText_IsReadAsItWasWritten(t *testing.T) {
	if got := NewKeyText([KeyIDBytes]byte{}, [KeySecretBytes]byte{}).Reveal(); got != zeroKey {
		t.Errorf("the key of zeros is %s, want %s", got, zeroKey)
	}
	id, digest, err := KeyText(zeroKey).Parse()
	if got := fmt.Sprintf("%s %x %v", id, digest, err); got != "aaaaaaaaaaaaaaaa "+zeroDigest+" <nil>" {
		t.Error(got)
	}
}

func TestKeyText_NoVerbShowsTheSecret(t *testing.T) {
	text := NewKeyText([KeyIDBytes]byte{1}, [KeySecretBytes]byte{7, 8, 9})
	secret := text.Reveal()[21:]
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", text, "in", IssuedKey{Text: text})
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", text, text, text, text, text, text, text) + fmt.Sprintf("%+v %#v", IssuedKey{Text: text}, VerifyKey{text}) + log.String()
	if strings.Contains(shown, secret[:10]) || !strings.Contains(shown, "ffk_aeaaaaaaaaaaaaaa_<REDACTED>") {
		t.Errorf("shown: %s", shown)
	}
	if got := KeyText("a secret").String(); got != "<REDACTED:malformed>" {
		t.Errorf("malformed: %s", got)
	}
}

func TestRole_CoversWhatTheChapterSays(t *testing.T) {
	for role, want := range map[Role]string{
		RoleViewer: "viewer", RoleSubmitter: "viewer submitter", RoleWorker: "viewer worker", RoleOperator: "viewer submitter operator",
		RoleAdmin: "viewer submitter worker operator admin", "": "", "root": "",
	} {
		var covers []string
		for _, other := range []Role{"viewer", "submitter", "worker", "operator", "admin", "", "root"} {
			if role.Covers(other) {
				covers = append(covers, string(other))
			}
		}
		if got := strings.Join(covers, " "); got != want {
			t.Errorf("%q covers %q, want %q", role, got, want)
		}
	}
}

func FuzzKeyText_Parse(f *testing.F) {
	f.Add(zeroKey)
	f.Add(zeroKey[:72] + "b")
	f.Add(strings.ToUpper(zeroKey))
	f.Add("ffk_" + strings.Repeat("\n", 69))
	f.Fuzz(func(t *testing.T, text string) {
		id, _, err := KeyText(text).Parse()
		if err != nil {
			if id != "" {
				t.Errorf("%q is refused, and has id %s", text, id)
			}
			return
		}
		raw, err := DecodeKeyID(id)
		secret, decodeErr := keyEncoding.DecodeString(text[21:])
		if err != nil || decodeErr != nil || len(secret) != KeySecretBytes {
			t.Fatalf("%q is taken, but its parts are not: %v, %v", text, err, decodeErr)
		}
		if again := NewKeyText(raw, [KeySecretBytes]byte(secret)); again.Reveal() != text {
			t.Errorf("%q is taken, but the key is written %q", text, again.Reveal())
		}
	})
}
