package server

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefLists() {
	s.addRef(route{
		method: http.MethodGet, path: "/v1/executions", op: wire.ListOne.Op, name: "get_executions", limit: large, query: reflect.TypeFor[executionQuery](),
		answers: append(ok[executionPage](), ok[flowfabric.Page[flowfabric.ExecutionSummary]]()...),
	}, s.refList)
}

// executionQuery are the parameters of GET /v1/executions. With a partition it is the list of the reference: all ids of that
// partition in ascending order, and the filters are passed over. Without one, and with a filter, it is the list of the
// executions that match all filters, newest first; with flow_id, which stands alone, that of the members of a flow.
type executionQuery struct {
	Partition *uint16 `json:"partition,omitzero"`
	Cursor    string  `json:"cursor,omitzero"` // of the page before: next_cursor, or next
	Limit     uint64  `json:"limit,omitzero"`  // at most 1,000, which more counts for; default 50; 0 for an empty page

	Lane          flowfabric.LaneID           `json:"lane,omitzero"`
	Namespace     flowfabric.Namespace        `json:"namespace,omitzero"`
	Kind          string                      `json:"kind,omitzero"`
	States        []flowfabric.PublicState    `json:"state,omitzero"` // any of them, separated by commas
	CreatedFrom   flowfabric.Timestamp        `json:"created_from,omitzero"`
	CreatedBefore flowfabric.Timestamp        `json:"created_before,omitzero"`
	FlowID        *lenient[flowfabric.FlowID] `json:"flow_id,omitzero"`
	// A tag is asked for by tag.<key>=<value>, which no member can stand for.
}

// executionPage answers GET /v1/executions?partition=…
type executionPage struct {
	Executions []flowfabric.ExecutionID `json:"executions"`
	NextCursor *string                  `json:"next_cursor"` // null on the last page
}

func (s *Server) refList(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	q := executionQuery{Limit: flowfabric.DefaultPage}
	if err := readQuery(r, &q); err != nil {
		return 0, nil, err
	}
	if q.Partition != nil {
		return s.listPartition(r, &q)
	}
	list, filtered, err := q.filters(r)
	switch {
	case err != nil:
		return 0, nil, err
	case q.FlowID != nil && filtered:
		return 0, nil, invalidInput("flow_id", "flow_id stands alone, without other filters")
	case q.FlowID == nil && !filtered:
		return 0, nil, refuseInput("partition", badQuery+"partition: missing field; or give a filter")
	case q.Limit == 0:
		return http.StatusOK, flowfabric.Page[flowfabric.ExecutionSummary]{}, nil
	case q.FlowID != nil:
		page, err := call(r.Context(), s, wire.ListNodes, flowfabric.ListNodes{FlowID: q.FlowID.id, After: q.Cursor, Limit: list.Limit})
		return http.StatusOK, page, err
	}
	page, err := call(r.Context(), s, wire.List, list)
	return http.StatusOK, page, err
}

func (s *Server) listPartition(r *http.Request, q *executionQuery) (int, any, error) {
	ask := flowfabric.ListPartition{Partition: *q.Partition, Limit: int(min(q.Limit, flowfabric.MaxPage))}
	if q.Cursor != "" {
		var err error
		if ask.After, err = parseExecution(q.Cursor); err == nil && ask.After.Partition().Index != ask.Partition {
			err = wire.Want("an id of the partition")
		}
		if err != nil {
			return 0, nil, refuseInput("cursor", "invalid cursor: "+err.Error())
		}
	}
	out := executionPage{Executions: []flowfabric.ExecutionID{}}
	if q.Limit == 0 {
		return http.StatusOK, out, nil
	}
	page, err := call(r.Context(), s, wire.ListOne, ask)
	if err != nil {
		return 0, nil, err
	}
	out.Executions, out.NextCursor = append(out.Executions, page.Items...), orNull(page.Next)
	return http.StatusOK, out, nil
}

// filters are those of a list that goes over all partitions, and whether there are any beside the flow.
func (q *executionQuery) filters(r *http.Request) (list flowfabric.ListExecutions, any bool, err error) {
	list = flowfabric.ListExecutions{
		Lane: q.Lane, Namespace: q.Namespace, Kind: q.Kind, States: q.States, CreatedFrom: q.CreatedFrom, CreatedBefore: q.CreatedBefore,
	}
	var query url.Values
	if query, err = queryOf(r); err != nil {
		return list, false, err
	}
	for name, texts := range query {
		key, tag := strings.CutPrefix(name, "tag.")
		switch {
		case !tag:
		case list.TagKey != "" || len(texts) > 1:
			return list, false, invalidInput("tag", "one tag can be asked for")
		default:
			list.TagKey, list.TagValue = key, texts[0]
		}
	}
	any = !reflect.ValueOf(list).IsZero()
	list.After, list.Limit = q.Cursor, int(min(q.Limit, flowfabric.MaxPage))
	return list, any, nil
}
