package wire

// CapabilitiesPath tells what a server is.
const CapabilitiesPath = "/v1/capabilities"

// Capabilities answers GET [CapabilitiesPath].
type Capabilities struct {
	Family     string     `json:"family"` // the kind of store
	Version    string     `json:"version"`
	Partitions Partitions `json:"partitions"`
	Operations []string   `json:"operations"` // the names below [CallPath]
}

// Partitions are what ids are minted with. They are the same for a deployment for ever.
type Partitions struct {
	Flow   uint16 `json:"num_flow_partitions"`
	Budget uint16 `json:"num_budget_partitions"`
	Quota  uint16 `json:"num_quota_partitions"`
}
