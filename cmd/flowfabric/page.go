package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/flowfabric/flowfabric"
)

// paging are the flags of a command that lists.
type paging struct {
	after string
	limit int
}

func (p *paging) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.after, "after", "", "the `CURSOR` behind which to go on, as the page before printed it")
	flags.IntVar(&p.limit, "limit", flowfabric.DefaultPage, fmt.Sprintf("how many to print at most, 1 to %d", flowfabric.MaxPage))
}

// collect reads pages until there are as many items as are wanted: a page may have fewer than it was asked for, even none.
func collect[T any](ctx context.Context, p paging, read func(context.Context, paging) (flowfabric.Page[T], error)) (flowfabric.Page[T], error) {
	all := flowfabric.Page[T]{Next: p.after}
	for {
		page, err := read(ctx, paging{after: all.Next, limit: p.limit - len(all.Items)})
		if err != nil {
			return all, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Next = page.Next
		if all.Next == "" || len(all.Items) >= p.limit {
			return all, nil
		}
	}
}

// list prints a page as a table with a head; where there is more it says how to get it.
func list[T any](s *session, page flowfabric.Page[T], head []any, cells func(T) []any) error {
	err := s.out.value(page, func(w io.Writer) {
		row(w, head...)
		for _, item := range page.Items {
			row(w, cells(item)...)
		}
	})
	if err == nil && page.Next != "" && !s.out.json {
		fmt.Fprintf(s.stderr, "There is more: --after %s\n", page.Next)
	}
	return err
}
