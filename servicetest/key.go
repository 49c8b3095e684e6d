package servicetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

// The keys of a store are shared by these tests, which run one after the other.
var keyTests = []behaviour{
	{"BadKeysAreRefused", testKeyInput},
	{"KeyIsToldOnceAndVerifies", testKeyCreate},
	{"OtherTextsDoNotVerify", testKeyTexts},
	{"OldSecretVerifiesForTheGrace", testKeyRotation},
	{"ASecondRotationDoesNotCutAGraceShort", testKeyRotationConflict},
	{"KeysExpire", testKeyExpiry},
	{"RevokedKeysAreWithdrawn", testKeyRevoke},
	{"KeysAreListedInPages", testKeyList},
	{"KeysAreRemovedLongAfterTheirEnd", testKeyRemoval},
	{"KeysAreBounded", testKeyBound},
}

func (e *env) key(cmd ff.CreateKey) ff.IssuedKey {
	e.Helper()
	if cmd.Roles == nil {
		cmd.Roles = []ff.Role{ff.RoleViewer}
	}
	issued, err := e.svc.CreateKey(e.Context(), cmd)
	e.ok(err)
	return issued
}

// verifies says whether a text is good, and of which key.
func (e *env) verifies(text ff.KeyText) string {
	e.Helper()
	key, err := e.svc.VerifyKey(e.Context(), ff.VerifyKey{Text: text})
	if err != nil {
		e.refused("verify "+text.String(), err, "invalid_token")
		return "no"
	}
	return key.Name
}

// keyEvents are the details of the events of a type, for a key.
func (e *env) keyEvents(kind string, id ff.KeyID) (found []map[string]any) {
	e.Helper()
	for _, ev := range e.dump().Events {
		var details map[string]any
		if ev.Type == kind {
			e.ok(json.Unmarshal(ev.Details, &details))
			if details["key_id"] == string(id) {
				found = append(found, details)
			}
		}
	}
	return found
}

func testKeyInput(e *env) {
	roles := []ff.Role{ff.RoleWorker}
	for name, cmd := range map[string]ff.CreateKey{
		"no name":             {Roles: roles},
		"long name":           {Roles: roles, Name: strings.Repeat("n", 257)},
		"no role":             {Name: "n"},
		"unknown role":        {Name: "n", Roles: []ff.Role{"root"}},
		"no role's name":      {Name: "n", Roles: []ff.Role{""}},
		"bad namespace":       {Name: "n", Roles: roles, Namespaces: []ff.Namespace{""}},
		"bad lane":            {Name: "n", Roles: roles, Lanes: []ff.LaneID{"ä"}},
		"too many lanes":      {Name: "n", Roles: roles, Lanes: make([]ff.LaneID, 65)},
		"too many namespaces": {Name: "n", Roles: roles, Namespaces: make([]ff.Namespace, 65)},
		"negative life":       {Name: "n", Roles: roles, ExpiresIn: -time.Second},
		"short life":          {Name: "n", Roles: roles, ExpiresIn: time.Second - time.Millisecond},
		"long life":           {Name: "n", Roles: roles, ExpiresIn: 10*365*24*time.Hour + time.Millisecond},
		"actor of a novel":    {Name: "n", Roles: roles, Actor: strings.Repeat("a", 257)},
	} {
		e.refused(name, errOf(e.svc.CreateKey(e.Context(), cmd)), "invalid_input")
	}
	known := e.key(ff.CreateKey{Name: "input"}).Key.KeyID
	for name, c := range map[string]struct {
		cmd  ff.RotateKey
		want ff.Code
	}{
		"no id":          {ff.RotateKey{}, "invalid_input"},
		"bad id":         {ff.RotateKey{KeyID: "abc"}, "invalid_input"},
		"id with a line": {ff.RotateKey{KeyID: "aaaaaaaaaaaaaaa\n"}, "invalid_input"},
		"unknown id":     {ff.RotateKey{KeyID: "aaaaaaaaaaaaaaaa"}, "key_not_found"},
		"negative grace": {ff.RotateKey{KeyID: known, Grace: -1}, "invalid_grace_ms"},
		"long grace":     {ff.RotateKey{KeyID: known, Grace: 30*24*time.Hour + time.Millisecond}, "invalid_grace_ms"},
		"short life":     {ff.RotateKey{KeyID: known, ExpiresIn: time.Millisecond}, "invalid_input"},
		"long actor":     {ff.RotateKey{KeyID: known, Actor: strings.Repeat("a", 257)}, "invalid_input"},
	} {
		e.refused("rotate: "+name, errOf(e.svc.RotateKey(e.Context(), c.cmd)), c.want)
	}
	e.refused("revoke an unknown one", errOf(e.svc.RevokeKey(e.Context(), ff.RevokeKey{KeyID: "aaaaaaaaaaaaaaaa"})), "key_not_found")
	e.refused("revoke no id", errOf(e.svc.RevokeKey(e.Context(), ff.RevokeKey{})), "invalid_input")
	for name, q := range map[string]ff.ListKeys{"limit": {Limit: 1001}, "cursor": {After: "x"}} {
		e.refused("list: "+name, errOf(e.svc.ListKeys(e.Context(), q)), "invalid_input")
	}
	e.equal("events of a rotation that was refused", len(e.keyEvents("key_rotated", known)), 0)
}

func testKeyCreate(e *env) {
	at := e.pace.now()
	issued := e.key(ff.CreateKey{
		Name: "ci deploy", Roles: []ff.Role{"worker", "submitter", "worker"}, Namespaces: []ff.Namespace{"b", "a"}, Lanes: []ff.LaneID{"mail, fast"},
		ExpiresIn: time.Hour, Actor: "ann",
	})
	id := issued.Key.KeyID
	want := ff.KeySnapshot{
		KeyID: id, Name: "ci deploy", Roles: []ff.Role{"submitter", "worker"}, Namespaces: []ff.Namespace{"b", "a"}, Lanes: []ff.LaneID{"mail, fast"},
		CreatedAt: at, CreatedBy: "ann", ExpiresAt: at.Add(time.Hour),
	}
	e.equal("key", issued.Key, want)
	text := issued.Text.Reveal()
	if len(text) != 73 || !strings.HasPrefix(text, "ffk_"+string(id)+"_") {
		e.Errorf("the text of the key has %d bytes and begins %.21s", len(text), text)
	}
	verified, err := e.engine().VerifyKey(e.Context(), ff.VerifyKey{Text: issued.Text})
	e.ok(err)
	e.equal("verified", verified, want)
	secret := text[21:]
	for _, r := range e.dump().Records {
		if k, ok := r.(*record.APIKey); ok && (strings.Contains(fmt.Sprintf("%+v", *k), secret) || k.ID == id && len(k.Digest) != 32) {
			e.Error("the store keeps more of a secret than its digest")
		}
	}
	e.equal("events", e.keyEvents("key_created", id), []map[string]any{{
		"key_id": string(id), "name": "ci deploy", "roles": []any{"submitter", "worker"}, "namespaces": []any{"b", "a"}, "lanes": []any{"mail, fast"},
		"expires_at": float64(at.Add(time.Hour)), "actor": "ann",
	}})
	again := e.key(ff.CreateKey{Name: "ci deploy"})
	if again.Key.KeyID == id || again.Text.Reveal()[21:] == secret {
		e.Error("two keys have the same id or secret")
	}
}

func testKeyTexts(e *env) {
	one, two := e.key(ff.CreateKey{Name: "one"}).Text.Reveal(), e.key(ff.CreateKey{Name: "two"}).Text.Reveal()
	e.equal("the first", e.verifies(ff.KeyText(one)), "one")
	for name, text := range map[string]string{
		"empty": "", "another secret": one[:21] + two[21:], "an unknown id": "ffk_aaaaaaaaaaaaaaaa_" + one[21:],
		"upper case": strings.ToUpper(one), "longer": one + "a", "shorter": one[:72], "a line end": one[:72] + "\n", "another prefix": "ffx_" + one[4:],
		"unused bits": one[:72] + "b", "no colon": strings.ReplaceAll(one, "_", "-"),
	} {
		e.equal(name, e.verifies(ff.KeyText(text)), "no")
	}
}

func testKeyRotation(e *env) {
	first := e.key(ff.CreateKey{Name: "rotated", ExpiresIn: 10 * time.Hour})
	at := e.pace.now()
	second, err := e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: first.Key.KeyID, Grace: time.Hour, Actor: "ops"})
	e.ok(err)
	want := first.Key
	want.RotatedAt, want.PreviousUntil = at, at.Add(time.Hour)
	e.equal("rotated", second.Key, want)
	e.equal("old and new secret", e.verifies(first.Text)+" "+e.verifies(second.Text), "rotated rotated")
	e.advance(time.Hour - time.Millisecond)
	e.equal("old secret at the end of its grace", e.verifies(first.Text), "rotated")
	e.advance(time.Millisecond)
	e.equal("old and new secret after the grace", e.verifies(first.Text)+" "+e.verifies(second.Text), "no rotated")
	third, err := e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: first.Key.KeyID, ExpiresIn: 100 * time.Hour})
	e.ok(err)
	e.equal("after a rotation without grace", e.verifies(second.Text)+" "+e.verifies(third.Text), "no rotated")
	e.equal("expiry", third.Key.ExpiresAt, e.pace.now().Add(100*time.Hour))
	var actors []any
	for _, ev := range e.keyEvents("key_rotated", first.Key.KeyID) {
		actors = append(actors, ev["actor"])
	}
	e.equal("actors", actors, []any{"ops", nil})
}

func testKeyRotationConflict(e *env) {
	first := e.key(ff.CreateKey{Name: "k"})
	rotate := func(grace time.Duration) (ff.IssuedKey, error) {
		return e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: first.Key.KeyID, Grace: grace})
	}
	second, err := rotate(time.Hour)
	e.ok(err)
	e.refused("rotate within the grace", errOf(rotate(time.Minute)), "rotation_conflict")
	e.equal("both", e.verifies(first.Text)+e.verifies(second.Text), "kk")
	third, err := rotate(0)
	e.ok(err)
	e.equal("after a leak", e.verifies(first.Text)+e.verifies(second.Text)+e.verifies(third.Text), "nonok")
}

func testKeyExpiry(e *env) {
	k := e.key(ff.CreateKey{Name: "short", ExpiresIn: time.Minute})
	e.advance(time.Minute - time.Millisecond)
	e.equal("before", e.verifies(k.Text), "short")
	e.advance(time.Millisecond)
	e.equal("at its expiry", e.verifies(k.Text), "no")
	e.refused("rotate", errOf(e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: k.Key.KeyID, ExpiresIn: time.Hour})), "invalid_input")
}

func testKeyRevoke(e *env) {
	k := e.key(ff.CreateKey{Name: "gone"})
	rotated, err := e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: k.Key.KeyID, Grace: time.Hour})
	e.ok(err)
	want := rotated.Key
	want.RevokedAt, want.RevokedBy = e.pace.now(), "ann"
	for _, actor := range []string{"ann", "bob"} { // a repeat changes nothing
		got, err := e.svc.RevokeKey(e.Context(), ff.RevokeKey{KeyID: k.Key.KeyID, Actor: actor})
		e.ok(err)
		e.equal("revoked by "+actor, got, want)
		e.advance(time.Second)
	}
	e.equal("both secrets", e.verifies(k.Text)+e.verifies(rotated.Text), "nono")
	e.refused("rotate", errOf(e.svc.RotateKey(e.Context(), ff.RotateKey{KeyID: k.Key.KeyID})), "invalid_input")
	e.equal("events", len(e.keyEvents("key_revoked", k.Key.KeyID)), 1)
}

// keys lists all keys, in pages.
func (e *env) keys(limit int) (all []ff.KeySnapshot) {
	e.Helper()
	for q := (ff.ListKeys{Limit: limit}); ; {
		page, err := e.svc.ListKeys(e.Context(), q)
		e.ok(err)
		all = append(all, page.Items...)
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
}

func testKeyList(e *env) {
	made := map[ff.KeyID]bool{e.key(ff.CreateKey{Name: "x"}).Key.KeyID: true, e.key(ff.CreateKey{Name: "y"}).Key.KeyID: true}
	all := e.keys(2)
	for i, k := range all {
		delete(made, k.KeyID)
		if i > 0 && all[i-1].KeyID >= k.KeyID {
			e.Errorf("%s is behind %s", k.KeyID, all[i-1].KeyID)
		}
	}
	e.equal("keys that are not listed", len(made), 0)
	e.equal("in one page", len(e.keys(1000)), len(all))
}

func testKeyRemoval(e *env) {
	revoked, expiring := e.key(ff.CreateKey{Name: "revoked"}), e.key(ff.CreateKey{Name: "expiring", ExpiresIn: time.Hour})
	e.ok(errOf(e.svc.RevokeKey(e.Context(), ff.RevokeKey{KeyID: revoked.Key.KeyID})))
	listed := func() (names string) {
		e.key(ff.CreateKey{Name: "next"})
		for _, k := range e.keys(100) {
			if k.KeyID == revoked.Key.KeyID || k.KeyID == expiring.Key.KeyID {
				names += k.Name + " "
			}
		}
		return names
	}
	e.advance(30*24*time.Hour - time.Millisecond)
	if got := listed(); !strings.Contains(got, "revoked ") || !strings.Contains(got, "expiring ") {
		e.Errorf("within 30 days %qare listed", got)
	}
	e.advance(time.Millisecond)
	e.equal("30 days after it was revoked", listed(), "expiring ")
	e.advance(time.Hour)
	e.equal("30 days after the other expired", listed(), "")
}

func testKeyBound(e *env) {
	home := ff.Partition{Family: ff.FamilyFlow}
	for _, r := range e.dump().Records {
		if k, ok := r.(*record.APIKey); ok {
			home = k.Home
		}
	}
	fill, have := &store.Unit{Partition: home}, len(e.keys(1000))
	fill.Decide = func(tx *store.Tx) error {
		for i := range ff.MaxKeys - 1 - have {
			id := ff.NewKeyText([ff.KeyIDBytes]byte{byte(i >> 8), byte(i)}, [ff.KeySecretBytes]byte{}).Reveal()[4:20]
			tx.Register(&record.APIKey{APIKeyKey: record.APIKeyKey{Home: home, ID: ff.KeyID(id)}, Name: "filler"})
		}
		return nil
	}
	e.ok(e.store.Apply(e.Context(), []*store.Unit{fill}))
	e.ok(fill.Err)
	last := e.key(ff.CreateKey{Name: "the last"})
	e.equal("keys", len(e.keys(1000)), 1000)
	e.refused("one more", errOf(e.svc.CreateKey(e.Context(), ff.CreateKey{Name: "more", Roles: []ff.Role{ff.RoleViewer}})), "resource_exhausted")
	e.ok(errOf(e.svc.RevokeKey(e.Context(), ff.RevokeKey{KeyID: last.Key.KeyID})))
	e.advance(30 * 24 * time.Hour)
	e.key(ff.CreateKey{Name: "in its place"})
}
