package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// sign writes into a command who gives it: nobody acts in the name of another. Of a token that several people share, the name
// they give is kept.
func sign(in any, who *Principal) {
	for _, field := range []string{"Actor", "Approver"} {
		if v := reflect.ValueOf(in).Elem().FieldByName(field); v.IsValid() && v.Kind() == reflect.String {
			name := who.Name
			if claimed := v.String(); who.shared && claimed != "" {
				name += "/" + claimed
			}
			v.SetString(name)
		}
	}
	switch in := in.(type) { // a creator is told by whoever submits for others, too
	case *flowfabric.Submit:
		signSubmit(in, who)
	case *wire.SubmitMany:
		for i := range in.Executions {
			signSubmit(&in.Executions[i], who)
		}
	case *flowfabric.SubmitFlow:
		for i := range in.Nodes {
			signSubmit(&in.Nodes[i].Submit, who)
		}
	}
}

func signSubmit(cmd *flowfabric.Submit, who *Principal) {
	if cmd.Creator == "" && !who.shared {
		cmd.Creator = who.Name
	}
}

// audit tells what an operator or an admin did, or was not let do. It names what it was about and repeats no other text.
func (s *Server) audit(ctx context.Context, op *wire.Op, in, out any, err error) {
	c := callerOf(ctx)
	actor, key := textOf(in, "Actor"), flowfabric.KeyID("")
	if c.who != nil && (!c.who.shared || actor == "") {
		actor, key = c.who.Name, c.who.KeyID
	}
	level, outcome := slog.LevelInfo, "ok"
	if err != nil {
		outcome, out = string(wire.BodyOf(err).Code), nil
	}
	if errors.Is(err, flowfabric.ErrForbidden) {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("actor", actor), slog.String("actor_key", string(key)), slog.String("op", op.Name), slog.String("outcome", outcome),
		slog.String("remote", c.remote), slog.String("request_id", requestID(ctx)),
	}
	seen := map[string]bool{}
	for _, v := range []any{in, out} {
		attrs = append(attrs, subjects(reflect.ValueOf(v), seen)...)
	}
	s.cfg.Audit.LogAttrs(ctx, level, "audit", attrs...)
}

// textOf is a member of a command that is a text; empty if it has none of that name.
func textOf(in any, field string) string {
	if v := reflect.ValueOf(in).Elem().FieldByName(field); v.IsValid() && v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

// named are the members that say what a command is about.
var named = map[string]bool{
	"execution_id": true, "flow_id": true, "edge_id": true, "waitpoint_id": true, "budget_id": true, "quota_id": true, "lane": true,
	"lane_id": true, "kid": true, "new_kid": true, "key_id": true, "name": true, "roles": true, "namespaces": true, "lanes": true, "state": true,
}

// subjects lists what a command or an answer is about. Of an answer, the first level and what was issued are looked at.
func subjects(v reflect.Value, seen map[string]bool) (attrs []slog.Attr) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || v.Field(i).IsZero() || seen[name]:
		case name == "key":
			attrs = append(attrs, subjects(v.Field(i), seen)...)
		case named[name]:
			seen[name] = true
			attrs = append(attrs, slog.String(name, fmt.Sprint(reflect.Indirect(v.Field(i)).Interface())))
		}
	}
	return attrs
}
