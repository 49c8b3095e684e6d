package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// submission are the flags of submit.
type submission struct {
	id, namespace, lane, key, policy, encoding, creator string

	priority        int
	tags            map[string]string
	delay, deadline time.Duration
	retries         uint32
}

func (f *submission) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.lane, "lane", "default", "lane")
	flags.StringVar(&f.id, "id", "", "id of the execution, which makes repeats of the command safe (default: a new one)")
	flags.StringVar(&f.key, "key", "", "idempotency key: equal submissions are one execution")
	flags.StringVar(&f.namespace, "namespace", "", "namespace")
	flags.IntVar(&f.priority, "priority", 0, "priority within the lane, higher first")
	flags.StringToStringVar(&f.tags, "tag", nil, "`KEY=VALUE`, may be repeated")
	flags.DurationVar(&f.delay, "delay", 0, "how long it is kept from being claimed")
	flags.DurationVar(&f.deadline, "deadline", 0, "after how long it expires if it has not ended")
	flags.Uint32Var(&f.retries, "retries", 0, "how often a failed attempt is tried again")
	flags.StringVar(&f.policy, "policy", "", "`JSON` of the policy, or @FILE; instead of --retries")
	flags.StringVar(&f.encoding, "encoding", "", "a word for the handler on what the payload is (default json)")
	flags.StringVar(&f.creator, "creator", "", "who asks for it")
}

func newSubmit() *cobra.Command {
	var f submission
	var wait time.Duration
	cmd := onService(&cobra.Command{
		Use:   "submit KIND [PAYLOAD]",
		Short: "Submit an execution, and print its id",
		Long: `Submit an execution, and print its id. The payload is the text itself, @FILE, or - for the standard
input; the engine hands it to the handler as it is.`,
		Example: `  flowfabric submit send '{"to":"ada@example.org"}' --lane mail --retries 5 --key welcome-ada
  flowfabric submit transcode @film.json --delay 1h --tag org.team=media --wait 5m`,
		Args: cobra.RangeArgs(1, 2),
	}, func(ctx context.Context, s *session, args []string) error {
		command, err := f.command(s, args)
		if err != nil {
			return err
		}
		res, err := s.Submit(ctx, command)
		if err != nil {
			return err
		}
		if res.Outcome == flowfabric.Duplicate && !s.out.json {
			fmt.Fprintln(s.stderr, "It existed; nothing was written.")
		}
		if wait > 0 {
			return awaitResult(ctx, s, res.ID, wait)
		}
		return s.out.done(res, "%s", res.ID)
	})
	f.flags(cmd.Flags())
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait so long for its end, and print its result instead")
	return cmd
}

func (f *submission) command(s *session, args []string) (cmd flowfabric.Submit, err error) {
	cmd = flowfabric.Submit{
		Lane: flowfabric.LaneID(f.lane), Kind: args[0], Namespace: flowfabric.Namespace(f.namespace), PayloadEncoding: f.encoding,
		Priority: f.priority, Creator: f.creator, IdempotencyKey: f.key, Tags: f.tags, Delay: f.delay,
	}
	if f.id != "" {
		if cmd.ID, err = flowfabric.ParseExecutionID(f.id); err != nil {
			return cmd, err
		}
	}
	if f.deadline != 0 {
		cmd.Deadline = s.out.now.Add(f.deadline)
	}
	if len(args) > 1 {
		if cmd.Payload, err = content(s.stdin, args[1], flowfabric.MaxPayloadBytes); err != nil {
			return cmd, err
		}
	}
	cmd.Policy, err = f.policyOf(s.stdin)
	return cmd, err
}

func (f *submission) policyOf(stdin io.Reader) (*flowfabric.Policy, error) {
	switch {
	case f.policy != "" && f.retries != 0:
		return nil, usageError{errors.New("--policy and --retries both say how it is tried again; give one")}
	case f.policy != "":
		text, err := content(stdin, f.policy, flowfabric.MaxPayloadBytes)
		if err != nil {
			return nil, err
		}
		return flowfabric.ParsePolicy(text)
	case f.retries != 0:
		return flowfabric.Retry(f.retries, nil), nil
	}
	return nil, nil
}

// content returns what an argument stands for: the text itself, the file behind an @, or for - the standard input; at most
// limit bytes.
func content(stdin io.Reader, arg string, limit int64) ([]byte, error) {
	name, isFile := strings.CutPrefix(arg, "@")
	var in io.Reader
	switch {
	case arg == "-":
		in, name = stdin, "the standard input"
	case isFile:
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError{err}
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	default:
		in, name = strings.NewReader(arg), "the argument"
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(in, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(text.Len()) > limit {
		return nil, usageError{fmt.Errorf("%s has more than %d bytes", name, limit)}
	}
	return text.Bytes(), nil
}

// document reads a JSON document that an argument stands for, as [content] has it, strictly.
func document(stdin io.Reader, arg string, into any) error {
	const limit = 8 << 20 // as much as a server takes
	text, err := content(stdin, arg, limit)
	if err != nil {
		return err
	}
	if err := wire.Decode(text, into); err != nil {
		return usageError{fmt.Errorf("read %s: %w", strings.TrimPrefix(arg, "@"), err)}
	}
	return nil
}
