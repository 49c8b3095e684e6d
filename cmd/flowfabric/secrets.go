package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
)

func newSecrets() *cobra.Command {
	return group("secrets", "Look after the secrets that tokens and handles are signed with", newSecretsList(), newSecretsRotate())
}

func newSecretsList() *cobra.Command {
	return onService(&cobra.Command{
		Use:   "list",
		Short: "List the secrets that verify, without telling them",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, s *session, _ []string) error {
		found, err := s.ListSecrets(ctx)
		if err != nil {
			return err
		}
		page := flowfabric.Page[flowfabric.SecretSnapshot]{Items: found}
		return list(s, page, []any{"SECRET", "USE", "SINCE", "UNTIL"}, func(k flowfabric.SecretSnapshot) []any {
			use := "verifies"
			if k.Current {
				use = "signs"
			}
			return []any{k.Kid, use, s.out.age(k.RotatedAt), instant(k.ExpiresAt)}
		})
	})
}

func newSecretsRotate() *cobra.Command {
	var secret string
	var grace time.Duration
	cmd := onService(&cobra.Command{
		Use:   "rotate NAME",
		Short: "Make a new secret sign; the present one verifies for a while",
		Long: `Make a new secret sign; what the present one signed stays good for the grace. Choose one as long as the
longest suspension that may be open. Without --secret a random secret is made, which nobody sees.`,
		Example: "  flowfabric secrets rotate k2 --grace 72h\n  flowfabric secrets rotate k2 --secret @k2.hex",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, s *session, args []string) error {
		text, err := secretText(s, secret)
		if err != nil {
			return err
		}
		res, err := s.RotateSecret(ctx, flowfabric.RotateSecret{NewKid: args[0], NewSecretHex: text, Grace: grace, Actor: s.actor})
		if err != nil {
			return err
		}
		if res.OpenWaitpoints > 0 && !s.out.json {
			fmt.Fprintf(s.stderr, "%d open waitpoints were signed with %s: their tokens are good for %s\n", res.OpenWaitpoints, res.PreviousKid, grace)
		}
		if res.Noop {
			return s.out.done(res, "%s signed already; nothing was changed", res.NewKid)
		}
		return s.out.done(res, "%s signs now", res.NewKid)
	})
	cmd.Flags().StringVar(&secret, "secret", "", "@FILE with the secret in hex, or - for the standard input")
	cmd.Flags().DurationVar(&grace, "grace", flowfabric.DefaultGrace, "how long the present secret verifies; 0 if it has leaked")
	return cmd
}

// secretText returns the secret an argument names, or a random one. A secret is no argument: others see those.
func secretText(s *session, arg string) (string, error) {
	switch {
	case arg == "":
		return randomSecret(), nil
	case arg != "-" && !strings.HasPrefix(arg, "@"):
		return "", usageError{fmt.Errorf("--secret: want @FILE or -: command lines are seen by others")}
	}
	text, err := content(s.stdin, arg, 2*flowfabric.MaxSecretBytes+2)
	return strings.TrimSpace(string(text)), err
}

// randomSecret makes a secret as long as the first must be, in hex.
func randomSecret() string {
	secret := make([]byte, flowfabric.SeedSecretBytes)
	_, _ = rand.Read(secret) // never fails
	return hex.EncodeToString(secret)
}
