package flowfabric

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// I16: nothing but Reveal shows the digest of a token, or a link.
func TestWaitpointToken_PrintsRedacted(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	token, link := WaitpointToken("k1:"+digest), SignalLink("AQACazE"+digest)
	grant := WaitpointGrant{Key: "legal", Token: token}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("minted", "token", token, "link", link)
	}
	shown := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		args := []any{token}
		if verb == "%T %v" {
			args = []any{token, grant}
		}
		shown = append(shown, fmt.Sprintf(verb, args...))
	}
	shown = append(shown, fmt.Sprint(grant), fmt.Sprintf("%+v %#v", grant, grant), fmt.Sprint(link), fmt.Sprintf("%#v %x", link, link),
		fmt.Errorf("refused: %w", &Error{Code: CodeInvalidToken, Detail: token.String()}).Error())
	for _, text := range shown {
		for _, secret := range []string{digest, digest[:20], fmt.Sprintf("%x", digest)[:20]} {
			if strings.Contains(text, secret) {
				t.Errorf("it shows: %s", text)
			}
		}
	}
	for got, want := range map[string]string{
		token.String(): "k1:<REDACTED:len=64>", fmt.Sprintf("%#v", token): `WaitpointToken("k1:<REDACTED:len=64>")`,
		WaitpointToken("nothing").String(): "<REDACTED:malformed>",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if token.Reveal() != "k1:"+digest || link.Reveal() != "AQACazE"+digest {
		t.Error("Reveal does not")
	}
}

func TestWaitpointToken_Fingerprint(t *testing.T) {
	for token, want := range map[WaitpointToken][2]string{
		WaitpointToken("k1:" + strings.Repeat("0123456789abcdef", 4)): {"k1", "0123456789abcdef"},
		"k1:0123": {"", ""}, "": {"", ""}, ":": {"", ""},
	} {
		if kid, print := token.Fingerprint(); [2]string{kid, print} != want {
			t.Errorf("%s: %q, %q; want %q", token.Reveal(), kid, print, want)
		}
	}
}
