"""What would the policy say, and what is a path worth?

Three engines stand behind the doors `Policy` and `Scorer`: vLLM generating (`vllm_policy`), vLLM pooling (`vllm_ppm`), and
any OpenAI-compatible server (`endpoint`). The two of vLLM share one engine loop (`loop`) and one place for what must stand
in the environment before vLLM is imported (`environment`). Which process an engine lives in is decided elsewhere.
"""
