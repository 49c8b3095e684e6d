package flowfabric

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/uuid"
)

// The vectors of chapter 10, section 1.4 and chapter 20, section 20.1.
func TestCRC16_Vectors(t *testing.T) {
	for _, tc := range []struct {
		in   []byte
		want uint16
	}{
		{[]byte("123456789"), 0x31c3},
		{[]byte("default"), 0xd656},
		{[]byte("workers-a"), 0x2ec1},
		{[]byte("workers-b"), 0x1ea2},
		{[]byte("lane-0"), 0x2a8c},
		{[]byte("a"), 0x7c87},
		{make([]byte, 16), 0x0000},
		{bytes.Repeat([]byte{0xab}, 16), 0x1529},
		{bytes.Repeat([]byte{0xff}, 16), 0x0041},
	} {
		if got := crc16(tc.in); got != tc.want {
			t.Errorf("crc16(%q) = %#x, want %#x", tc.in, got, tc.want)
		}
	}
}

func TestPartitionConfig_Vectors(t *testing.T) {
	cfg := DefaultPartitions()
	for lane, want := range map[LaneID]uint16{"default": 86, "workers-a": 193, "workers-b": 162, "lane-0": 140, "a": 135} {
		if got := cfg.OfLane(lane).Index; got != want {
			t.Errorf("OfLane(%q) = %d, want %d", lane, got, want)
		}
	}
	for flow, want := range map[string]uint16{
		"00000000-0000-0000-0000-000000000000": 0,
		"550e8400-e29b-41d4-a716-446655440000": 24,
		"11111111-1111-4111-8111-111111111111": 191,
		"11111111-1111-1111-1111-111111111111": 6,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": 65,
	} {
		if got := cfg.OfFlow(FlowID(uuid.MustParse(flow))).Index; got != want {
			t.Errorf("OfFlow(%s) = %d, want %d", flow, got, want)
		}
	}
	small := PartitionConfig{Flow: 4, Budget: 1, Quota: 1}
	if got := small.OfFlow(FlowID(uuid.MustParse("550e8400-e29b-41d4-a716-446655440000"))).Index; got != 0 {
		t.Errorf("mod 4 = %d, want 0", got)
	}
	if got := small.OfFlow(FlowID(uuid.MustParse("11111111-1111-4111-8111-111111111111"))).Index; got != 3 {
		t.Errorf("mod 4 = %d, want 3", got)
	}
}

func TestParsePartition(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Partition
	}{
		{"{fp:7}", Partition{FamilyFlow, 7}},
		{"{b:3}", Partition{FamilyBudget, 3}},
		{"{q:0}", Partition{FamilyQuota, 0}},
		{"{fp:65535}", Partition{FamilyFlow, 65535}},
	} {
		got, err := ParsePartition(tc.in)
		if err != nil || got != tc.want || got.String() != tc.in {
			t.Errorf("ParsePartition(%q) = %v, %v; want %v", tc.in, got, err, tc.want)
		}
	}
	for _, in := range []string{"", "fp:7", "{fp:7", "{fp}", "{x:1}", "{fp:}", "{fp:65536}", "{fp:-1}", "{fp:+1}", "{fp:1a}"} {
		if _, err := ParsePartition(in); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("ParsePartition(%q): error %v, want invalid_input", in, err)
		}
	}
}
