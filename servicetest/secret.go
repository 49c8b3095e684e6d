package servicetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The secrets of a store are shared by these tests, which run one after the other.
var secretTests = []behaviour{
	{"BadSecretsAreRefused", testSecretInput},
	{"FirstSecretIsSeededOnce", testSecretSeed},
	{"SecretsAreRotated", testSecretRotation},
	{"RotationIsRepeatable", testSecretRepeat},
	{"RotationsAtOnceDoNotBothSucceed", testSecretRace},
	{"ExpiredSecretsAreRemoved", testSecretRemoval},
	{"LeakedSecretIsWithdrawnAtOnce", testSecretLeak},
	{"WithoutASecretNothingIsSigned", testSecretInactive},
}

// hexOf is a secret of 32 bytes.
func hexOf(digit string) string { return strings.Repeat(digit, 64) }

func (e *env) rotate(kid, digit string, grace time.Duration) ff.RotateResult {
	e.Helper()
	res, err := e.svc.RotateSecret(e.Context(), ff.RotateSecret{NewKid: kid, NewSecretHex: hexOf(digit), Grace: grace, Actor: "ops"})
	e.ok(err)
	return res
}

// kids lists secrets that verify; the current one has a star.
func (e *env) kids() string {
	e.Helper()
	list, err := e.svc.ListSecrets(e.Context())
	e.ok(err)
	var names []string
	for _, s := range list {
		if s.Current {
			s.Kid += "*"
		}
		names = append(names, s.Kid)
	}
	return strings.Join(names, " ")
}

func testSecretInput(e *env) {
	for name, c := range map[string]struct {
		kid, hex string
		grace    time.Duration
		want     ff.Code
	}{
		"no name":          {"", hexOf("a"), 0, "invalid_kid"},
		"colon":            {"a:b", hexOf("a"), 0, "invalid_kid"},
		"long name":        {strings.Repeat("k", 65), hexOf("a"), 0, "invalid_kid"},
		"no text":          {"\xff", hexOf("a"), 0, "invalid_kid"},
		"no secret":        {"k9", "", 0, "invalid_secret_hex"},
		"odd digits":       {"k9", "abc", 0, "invalid_secret_hex"},
		"no hex":           {"k9", "zz", 0, "invalid_secret_hex"},
		"long secret":      {"k9", strings.Repeat("ab", 1025), 0, "invalid_secret_hex"},
		"negative grace":   {"k9", hexOf("a"), -1, "invalid_grace_ms"},
		"actor of a novel": {"k9", hexOf("a"), 0, "invalid_input"},
	} {
		cmd := ff.RotateSecret{NewKid: c.kid, NewSecretHex: c.hex, Grace: c.grace}
		if c.want == "invalid_input" {
			cmd.Actor = strings.Repeat("a", 1<<20)
		}
		e.refused(name, errOf(e.svc.RotateSecret(e.Context(), cmd)), c.want)
	}
	e.refused("short first secret", errOf(e.svc.SeedSecret(e.Context(), ff.SeedSecret{Kid: "k1", SecretHex: "abcd"})), "invalid_secret_hex")
	e.equal("secrets", e.kids(), "")
}

func testSecretSeed(e *env) {
	seed := func(kid, digit string) (ff.SeedResult, error) {
		return e.svc.SeedSecret(e.Context(), ff.SeedSecret{Kid: kid, SecretHex: hexOf(digit)})
	}
	res, err := seed("k1", "a")
	e.ok(err)
	e.equal("first", res, ff.SeedResult{Kid: "k1", SameSecret: true})
	res, err = seed("k1", "a")
	e.ok(err)
	e.equal("again", res, ff.SeedResult{Kid: "k1", AlreadySeeded: true, SameSecret: true})
	res, err = seed("k1", "b")
	e.ok(err)
	e.equal("another secret", res, ff.SeedResult{Kid: "k1", AlreadySeeded: true})
	_, err = seed("k2", "a")
	e.refused("another name", err, "invalid_input")
	e.equal("secrets", e.kids(), "k1*")
}

// testSecretRotation: after a rotation new handles are signed with the new secret, by other engines within a minute, and the
// old ones are good until the old secret expires, that millisecond included.
func testSecretRotation(e *env) {
	c := e.running(ff.Submit{})
	old := e.seal(c)
	other := e.engine()
	was, err := other.SealHandle(e.Context(), c)
	e.ok(err)
	e.equal("handle of another engine", was, old)
	e.equal("rotation", e.rotate("k2", "b", 2*time.Hour), ff.RotateResult{PreviousKid: "k1", NewKid: "k2"})
	e.equal("secrets", e.kids(), "k1 k2*")

	fresh := e.seal(c)
	if fresh == old {
		e.Error("after the rotation the old secret signs")
	}
	info, err := other.OpenHandle(e.Context(), fresh) // an engine that has not heard of the rotation
	e.ok(err)
	e.equal("handle of the new secret", info.ExecutionID, c.ExecutionID)
	e.advance(time.Minute)
	now, err := other.SealHandle(e.Context(), c)
	e.ok(err)
	e.equal("handle of another engine after a minute", now, fresh)

	e.advance(2*time.Hour - time.Minute)
	e.equal("old handle when its secret expires", e.open(old), e.open(fresh))
	e.advance(time.Millisecond)
	_, err = e.svc.OpenHandle(e.Context(), old)
	e.refused("old handle", err, "corruption")
	e.equal("handle of the new secret", e.open(fresh).ExecutionID, c.ExecutionID)
	e.equal("secrets", e.kids(), "k2*")
}

func testSecretRepeat(e *env) {
	e.equal("repeat", e.rotate("k2", "b", time.Hour), ff.RotateResult{NewKid: "k2", Noop: true})
	_, err := e.svc.RotateSecret(e.Context(), ff.RotateSecret{NewKid: "k2", NewSecretHex: hexOf("c")})
	e.refused("another secret of that name", err, "rotation_conflict")
	e.equal("secrets", e.kids(), "k2*")
	e.equal("next", e.rotate("k3", "c", time.Hour), ff.RotateResult{PreviousKid: "k2", NewKid: "k3", Removed: 1})
	_, err = e.svc.RotateSecret(e.Context(), ff.RotateSecret{NewKid: "k2", NewSecretHex: hexOf("b")})
	e.refused("back to a retired secret", err, "rotation_conflict")
	e.equal("secrets", e.kids(), "k2 k3*")
	var rotations []map[string]any
	for _, ev := range e.dump().Events {
		if ev.Type == "waitpoint_hmac_rotation_complete" {
			var details map[string]any
			e.ok(json.Unmarshal(ev.Details, &details))
			rotations = append(rotations, details)
		}
	}
	e.equal("events", rotations, []map[string]any{
		{"previous_kid": "k1", "new_kid": "k2", "grace_ms": 7200000.0, "actor": "ops"},
		{"previous_kid": "k2", "new_kid": "k3", "grace_ms": 3600000.0, "actor": "ops"},
	})
}

func testSecretRace(e *env) {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			kid := fmt.Sprint("race", i)
			errs[i] = errOf(e.engine().RotateSecret(e.Context(), ff.RotateSecret{NewKid: kid, NewSecretHex: hexOf("d"), Grace: time.Hour}))
		})
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			e.refused("a rotation that came too late", err, "rotation_conflict")
		}
	}
	list, err := e.svc.ListSecrets(e.Context())
	e.ok(err)
	current := 0
	for _, s := range list {
		if s.Current {
			current++
		} else if s.ExpiresAt == 0 {
			e.Errorf("the retired secret %s verifies for ever", s.Kid)
		}
	}
	if done == 0 || current != 1 || len(list) != 2+done {
		e.Errorf("%d rotations of four succeeded; now there are %+v; errors %v", done, list, errs)
	}
}

func testSecretRemoval(e *env) {
	e.advance(2 * time.Hour)
	if res := e.rotate("k5", "e", time.Hour); res.Removed < 2 {
		e.Errorf("%+v; want every expired secret removed", res)
	}
	stored := 0
	for _, r := range e.dump().Records {
		if _, ok := r.(*record.Secret); ok {
			stored++
		}
	}
	e.equal("stored secrets", stored, 2)
}

func testSecretLeak(e *env) {
	c := e.running(ff.Submit{})
	old := e.seal(c)
	e.rotate("k6", "f", 0)
	e.advance(time.Millisecond)
	_, err := e.svc.OpenHandle(e.Context(), old)
	e.refused("handle of the leaked secret", err, "corruption")
	e.open(e.seal(c))
	e.complete(c)
}

func testSecretInactive(e *env) {
	c := e.running(ff.Submit{})
	sealed := e.seal(c)
	for _, r := range e.dump().Records {
		if s, ok := r.(*record.Secret); ok && s.Active {
			n := *s
			n.Active = false
			e.putSecret(&n)
		}
	}
	e.advance(time.Minute)
	_, err := e.svc.SealHandle(e.Context(), c)
	e.refused("seal without an active secret", err, "hmac_secret_not_initialized")
	e.equal("handle of an inactive secret", e.open(sealed).ExecutionID, c.ExecutionID)
	e.equal("a way out", e.rotate("k7", "a", 0), ff.RotateResult{NewKid: "k7", Removed: 1})
}

// putSecret writes over what is stored.
func (e *env) putSecret(s *record.Secret) {
	e.Helper()
	u := &store.Unit{Partition: s.Home, Reads: store.Reads{Records: []record.Key{s.SecretKey}}}
	u.Decide = func(tx *store.Tx) error {
		n := *s
		tx.Put(&n)
		return nil
	}
	e.ok(e.store.Apply(e.Context(), []*store.Unit{u}))
	e.ok(u.Err)
}
