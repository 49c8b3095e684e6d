package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newKey() *cobra.Command {
	return group("key", "Look after the keys callers of the HTTP API present", newKeyCreate(), newKeyList(), newKeyRotate(), newKeyRevoke())
}

func newKeyCreate() *cobra.Command {
	var roles, namespaces, lanes []string
	var life time.Duration
	cmd := onService(&cobra.Command{
		Use:   "create NAME",
		Short: "Make a key, and print its text",
		Long: `Make a key, and print its text, which is told this once; NAME is who acts, in events and in the audit log.
An admin may do everything, an operator what a submitter may besides, and all of them read. Lanes limit
workers; namespaces limit everybody else. The first key of a server is made with --store, or with the token
of FF_API_TOKEN.`,
		Example: "  flowfabric key create ops --role admin --store sqlite:app.db\n" +
			"  flowfabric key create mailer --role worker --lane mail --expires 2160h\n" +
			"  flowfabric key create shop --role submitter --namespace shop > shop.key",
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		issued, err := s.CreateKey(ctx, flowfabric.CreateKey{
			Name: args[0], Roles: typed[flowfabric.Role](roles), Namespaces: typed[flowfabric.Namespace](namespaces),
			Lanes: typed[flowfabric.LaneID](lanes), ExpiresIn: life, Actor: s.actor,
		})
		if err != nil {
			return err
		}
		return s.issued(issued)
	})
	cmd.Flags().StringSliceVar(&roles, "role", []string{string(flowfabric.RoleViewer)}, "`ROLE`, or several: viewer, submitter, worker, operator, admin")
	cmd.Flags().StringSliceVar(&namespaces, "namespace", nil, "`NAMESPACE` it is limited to, or several")
	cmd.Flags().StringArrayVar(&lanes, "lane", nil, "`LANE` it is limited to; may be given again")
	cmd.Flags().DurationVar(&life, "expires", 0, "how long it is good; 0 for no end")
	return cmd
}

func typed[T ~string](texts []string) (list []T) {
	for _, text := range texts {
		list = append(list, T(text))
	}
	return list
}

// issued prints the text of a key alone, so that it can be sent to where it is needed.
func (s *session) issued(issued flowfabric.IssuedKey) error {
	if !s.out.json {
		fmt.Fprintf(s.stderr, "Key %s of %s. Keep its text: it is told this once.\n", issued.Key.KeyID, issued.Key.Name)
	}
	return s.out.done(issued, "%s", issued.Text.Reveal())
}

func newKeyList() *cobra.Command {
	var p paging
	cmd := onService(&cobra.Command{
		Use:   "list",
		Short: "List the keys, without their secrets",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		page, err := collect(ctx, p, func(ctx context.Context, p paging) (flowfabric.Page[flowfabric.KeySnapshot], error) {
			return s.ListKeys(ctx, flowfabric.ListKeys{After: p.after, Limit: p.limit})
		})
		if err != nil {
			return err
		}
		return list(s, page, []any{"KEY", "NAME", "STATE", "ROLES", "NAMESPACES", "LANES", "AGE", "UNTIL"}, func(k flowfabric.KeySnapshot) []any {
			return []any{k.KeyID, k.Name, keyState(k, s.out.now), words(k.Roles), words(k.Namespaces), words(k.Lanes), s.out.age(k.CreatedAt), instant(k.ExpiresAt)}
		})
	})
	p.flags(cmd.Flags())
	return cmd
}

// keyState is what a key is at a time.
func keyState(k flowfabric.KeySnapshot, now flowfabric.Timestamp) string {
	switch {
	case k.RevokedAt != 0:
		return "revoked"
	case k.ExpiresAt != 0 && now >= k.ExpiresAt:
		return "expired"
	case now < k.PreviousUntil:
		return "rotated"
	}
	return "good"
}

func newKeyRotate() *cobra.Command {
	var grace, life time.Duration
	cmd := onService(&cobra.Command{
		Use:   "rotate KEY",
		Short: "Give a key another secret, and print its text",
		Long: `Give a key another secret, and print its text, which is told this once. The present secret is good for the
grace besides. While it lasts, the key is not rotated again but with --grace 0, for a secret that has leaked.`,
		Example: "  flowfabric key rotate qkz4nj2p6d3mw7ab --grace 24h > mailer.key",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		issued, err := s.RotateKey(ctx, flowfabric.RotateKey{KeyID: keyID(args[0]), Grace: grace, ExpiresIn: life, Actor: s.actor})
		if err != nil {
			return err
		}
		return s.issued(issued)
	})
	cmd.Flags().DurationVar(&grace, "grace", flowfabric.DefaultGrace, "how long the present secret is good; 0 if it has leaked")
	cmd.Flags().DurationVar(&life, "expires", 0, "how long the key is good from now on; 0 leaves that as it is")
	return cmd
}

func newKeyRevoke() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "revoke KEY",
		Short: "Withdraw a key for good",
		Long: `Withdraw a key for good. A server refuses new requests with it within five seconds. It is listed for 30 days
more.`,
		Example: "  flowfabric key revoke qkz4nj2p6d3mw7ab",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		key, err := s.RevokeKey(ctx, flowfabric.RevokeKey{KeyID: keyID(args[0]), Actor: s.actor})
		if err != nil {
			return err
		}
		return s.out.done(key, "%s of %s is revoked", key.KeyID, key.Name)
	})
}

// keyID takes the text of a key for its id, as people have that at hand.
func keyID(arg string) flowfabric.KeyID {
	if id, _, err := flowfabric.KeyText(strings.TrimSpace(arg)).Parse(); err == nil {
		return id
	}
	return flowfabric.KeyID(arg)
}
