# Use a custom provider/model
nodetool chat-server --provider openai --default-model gpt-4
